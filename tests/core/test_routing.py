"""Routes that are made when somebody first asks for one."""

from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Match

from app.core.routing import DeclaredRoute, Router, hang

router = Router(prefix="/shelves", tags=["shelves"])


@router.get("/{shelf}/books")
def _books(shelf: int, request: Request, page: Annotated[int, Query(ge=1)] = 1) -> dict[str, int]:
    return {"shelf": shelf, "page": page, "guarded": request.state.guarded}


@router.post("", status_code=201)
def _build() -> dict[str, str]:
    return {}


def _guard(request: Request) -> None:
    request.state.guarded = 1


def library() -> FastAPI:
    app = FastAPI(dependencies=[Depends(_guard)], openapi_url=None)
    hang(app, [router])
    return app


def test_a_declared_route_answers_as_fastapi_has_it_behind_the_guards() -> None:
    with TestClient(library()) as client:
        assert client.get("/shelves/7/books?page=2").json() == {"shelf": 7, "page": 2, "guarded": 1}
        assert client.get("/shelves/7/books?page=0").status_code == 422
        assert client.get("/shelves/seven/books").status_code == 422
        assert client.post("/shelves").status_code == 201
        assert client.post("/shelves/7/books").status_code == 405
        assert client.get("/shelves/7").status_code == 404
        assert client.get("/shelves/7/8/books").status_code == 404


def test_a_route_is_made_once_for_all_applications_with_the_same_guards() -> None:
    one, other, bare = library(), library(), FastAPI(openapi_url=None)
    (route, _) = [found for found in one.routes if isinstance(found, DeclaredRoute)]
    assert route.made_for(one) is route.made_for(other)
    assert route.made_for(one) is not route.made_for(bare)
    assert [depends.dependency for depends in route.made_for(one).dependencies] == [_guard]


def test_every_route_tells_its_addresses_as_fastapi_would(app: FastAPI) -> None:
    """The address is compared without FastAPI's route; the two must never disagree."""
    bare = FastAPI(openapi_url=None)
    for route in app.routes:
        if not isinstance(route, DeclaredRoute):
            continue
        made = route.made_for(bare)
        assert isinstance(made, APIRoute)
        assert (made.path, made.methods, made.endpoint) == (route.path, route.methods, route.endpoint)
        for path in {made.path.replace("{", "").replace("}", ""), made.path + "/x", made.path[:-1], "/9"}:
            for method in ("GET", "POST", "PATCH"):
                scope = {"type": "http", "method": method, "path": path}
                ours, values = route.matches(scope)
                theirs, expected = made.matches(scope)
                assert ours is theirs, (path, made.path)
                assert ours is Match.NONE or values["path_params"] == expected["path_params"]
