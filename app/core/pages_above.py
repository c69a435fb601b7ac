"""Where somebody belongs who opens, as a page, an address that is none: one that only takes forms, or a piece of a page.

Such addresses stand in histories: a refused form leaves its own, and so does a piece opened in a new tab. The page to
which it belongs is the nearest above it that can be read, so that no route has to name its own.
"""

from fastapi import Request
from starlette.routing import Match

_PROGRAMS = ("/api/", "/v1/")


def is_opened(request: Request) -> bool:
    """Whether a browser opens the address by itself: typed, reloaded, out of its history. Scripts ask for any content."""
    return (
        request.method == "GET"
        and not request.url.path.startswith(_PROGRAMS)
        and request.headers.get("HX-Request") != "true"
        and "text/html" in request.headers.get("accept", "")
    )


def page_above(request: Request) -> str:
    """The nearest address above the request's that takes a GET; at last the first page."""
    path = request.url.path
    while path := path.rpartition("/")[0]:
        scope = {**request.scope, "path": path, "method": "GET"}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            return path
    return "/"
