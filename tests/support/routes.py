"""Every route of the application, one by one."""

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from app.core.routing import DeclaredRoute

# No row has this id, so that nothing is changed by a request that only asks whether it may.
NOBODYS_ID = "999999"


def all_routes(app: FastAPI) -> list[tuple[str, APIRoute]]:
    """(verb, route) in the order in which addresses are compared with them."""
    assert all(isinstance(route, DeclaredRoute | Mount) for route in app.routes)
    routes = [route.made_for(app) for route in app.routes if isinstance(route, DeclaredRoute)]
    return [(method, route) for route in routes for method in sorted(route.methods or ()) if method != "HEAD"]


def filled(path: str) -> str:
    """The path with an id in each of its places."""
    return "/".join(NOBODYS_ID if part.startswith("{") else part for part in path.split("/"))
