"""A request is one transaction, and a route is closed unless it is marked."""

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import select

from app.accounts.models import ApiToken
from app.core.database import reading
from app.core.web import Db, is_public, public
from app.datasets.models import Dataset


def test_the_mark_is_on_the_endpoint_itself() -> None:
    def open_to_all() -> None: ...

    def closed() -> None: ...

    assert public(open_to_all) is open_to_all
    assert is_public(open_to_all)
    assert not is_public(closed)


def test_a_request_that_fails_stores_nothing_and_one_that_ends_well_does(app: FastAPI) -> None:
    @app.post("/probe/{name}")
    @public
    def probe(session: Db, name: str) -> None:
        session.add(Dataset(name=name))
        session.flush()
        if name == "bad":
            raise RuntimeError

    client = TestClient(app, raise_server_exceptions=False)
    assert client.post("/probe/bad").status_code == 500
    assert client.post("/probe/good").status_code == 200
    with reading(app.state.engine) as session:
        assert list(session.exec(select(Dataset.name))) == ["good"]
        assert list(session.exec(select(ApiToken))) == []
