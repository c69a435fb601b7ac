"""Routes that are made when somebody first asks for one.

FastAPI looks through every signature and builds a validator for each parameter and answer; for two hundred routes that
is most of a start, for one it is some milliseconds. A route is declared as usual, `@router.get("/…")`; `hang` puts
the declared ones into an application, behind whatever that runs before every route.
"""

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from anyio import to_thread
from fastapi import APIRouter, FastAPI, params
from fastapi.routing import APIRoute
from starlette.convertors import Convertor
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import Receive, Scope, Send

from app.core.strict_bodies import StrictRoute

_MAKING: Final = threading.Lock()
# What runs before every route.
Guards = tuple[params.Depends, ...]


class DeclaredRoute(BaseRoute):
    """An address and its verbs, enough to tell whether a request is meant; the rest is FastAPI's own route, made later."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        methods: Iterable[str],
        make: Callable[[Guards], APIRoute],
        status_code: int | None = None,
    ) -> None:
        self.path, self.endpoint, self.status_code = path, endpoint, status_code
        self.methods = {method.upper() for method in methods}
        self._make = make
        # What every address of this route begins with. It is the whole address where nothing in it varies.
        self._beginning = path.partition("{")[0]
        self._pattern: tuple[re.Pattern[str], str, dict[str, Convertor[Any]]] | None = None
        self._made: dict[Guards, APIRoute] = {}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As Starlette's own route: fully, but for the verb, or not at all."""
        values = self._values_in(scope["path"]) if scope["type"] == "http" else None
        if values is None:
            return Match.NONE, {}
        found = {
            "endpoint": self.endpoint,
            "path_params": scope.get("path_params", {}) | values,
            "route": self,
        }
        return (Match.FULL if scope["method"] in self.methods else Match.PARTIAL), found

    def _values_in(self, address: str) -> dict[str, Any] | None:
        """What stands in the address where the route's varies; None where it is another route's."""
        if self._beginning == self.path:
            return {} if address == self.path else None
        if not address.startswith(self._beginning):
            return None
        if self._pattern is None:
            self._pattern = compile_path(self.path)
        pattern, _, convertors = self._pattern
        found = pattern.match(address)
        return found and {name: convertors[name].convert(value) for name, value in found.groupdict().items()}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Who asks first waits for the route to be made: in a thread, so that nobody else does."""
        route = self._made.get(_guards_of(scope["app"]))
        if route is None:
            route = await to_thread.run_sync(self.made_for, scope["app"])
        await route.handle(scope, receive, send)

    def made_for(self, app: FastAPI) -> APIRoute:
        """FastAPI's route, behind what runs before every route of `app`. Applications with the same guards share it."""
        guards = _guards_of(app)
        with _MAKING:
            if guards not in self._made:
                self._made[guards] = self._make(guards)
            return self._made[guards]


class WaitingRoute(BaseRoute):
    """Whatever no route takes yet: it waits for `app.state.whole` and is compared with all routes then."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Every request."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As if the request came now."""
        await scope["app"].state.whole.wait()
        await scope["app"].router(scope, receive, send)


class Router(APIRouter):
    """The routes of a module, by FastAPI's decorators."""

    def __init__(self, *, prefix: str = "", tags: Sequence[str] = (), include_in_schema: bool = True) -> None:
        super().__init__(prefix=prefix, tags=list(tags), include_in_schema=include_in_schema)

    def add_api_route(
        self, path: str, endpoint: Callable[..., Any], *, methods: Any = None, **options: Any
    ) -> None:
        """Declare a route; `options` are FastAPI's."""

        def make(guards: Guards) -> APIRoute:
            router = APIRouter(
                prefix=self.prefix,
                tags=self.tags,
                dependencies=guards,
                include_in_schema=self.include_in_schema,
                route_class=StrictRoute,
            )
            router.add_api_route(path, endpoint, methods=methods, **options)
            (made,) = router.routes
            assert isinstance(made, APIRoute)
            return made

        status = options.get("status_code")
        self.routes.append(DeclaredRoute(self.prefix + path, endpoint, methods or ["GET"], make, status))


def hang(app: FastAPI, routers: Iterable[Router]) -> None:
    """Put the routes of `routers` into the application, in their order."""
    routes = [route for router in routers for route in router.routes]
    # In one step: requests are compared with them meanwhile.
    app.router.routes = [*(route for route in app.routes if not isinstance(route, WaitingRoute)), *routes]


def _guards_of(app: FastAPI) -> Guards:
    return tuple(app.router.dependencies)
