"""Every route of the application, one by one."""

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from app import routers

# No row has this id, so that nothing is changed by a request that only asks whether it may.
NOBODYS_ID = "999999"


def all_routes(app: FastAPI) -> list[tuple[str, APIRoute]]:
    """(verb, route) in the order in which addresses are compared with them."""
    assert all(
        isinstance(route, APIRoute | Mount) or hasattr(route, "original_router") for route in app.routes
    )
    routes = [*(route for router in routers.ALL for route in router.routes), *app.routes]
    return [
        (method, route)
        for route in routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


def filled(path: str) -> str:
    """The path with an id in each of its places."""
    return "/".join(NOBODYS_ID if part.startswith("{") else part for part in path.split("/"))
