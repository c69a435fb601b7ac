"""The application before and after everything is loaded."""

from concurrent.futures import ThreadPoolExecutor

from anyio import to_thread
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.core.settings import Settings
from app.main import complete, create_app


def test_people_sign_in_before_the_rest_is_loaded_and_other_requests_wait_for_it(
    app: FastAPI, settings: Settings
) -> None:
    early = create_app(settings, whole=False)
    with TestClient(early, follow_redirects=False) as client, ThreadPoolExecutor() as pool:
        assert client.get("/login").status_code == 303  # nobody is there yet: on to the first account
        assert client.get("/setup").status_code == 200
        assert client.get("/").headers["location"].startswith("/login")
        assert client.get("/healthz").json() == {"status": "ok"}
        waiting = {
            path: pool.submit(client.get, path)
            for path in ("/datasets", "/api/v1/runs", "/api/v1/openapi.json", "/nothing")
        }
        assert not any(request.done() for request in waiting.values())
        assert client.portal
        client.portal.call(to_thread.run_sync, complete, early)
        told = {path: request.result(60).status_code for path, request in waiting.items()}
        assert told == {"/datasets": 303, "/api/v1/runs": 401, "/api/v1/openapi.json": 200, "/nothing": 404}
        assert client.get("/api/v1/runs").status_code == 401


def test_the_application_is_the_same_whichever_way_it_was_loaded(app: FastAPI, settings: Settings) -> None:
    early = create_app(settings, whole=False)
    with TestClient(early) as client:
        assert client.portal
        client.portal.call(to_thread.run_sync, complete, early)
    assert addresses(early) == addresses(app)
    assert set(early.state._state) == set(app.state._state)


def addresses(app: FastAPI) -> list[str]:
    return [getattr(route, "path", "") for route in app.routes]
