"""Addresses as clients send them lead to this server, or nowhere."""

from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.core.addresses import own_path, path_of


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("http://testserver/datasets?page=2", "/datasets?page=2"),
        ("http://testserver", "/"),
        ("http://[", "/"),
        ("http://testserver//elsewhere.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_of_a_whole_address_the_path_is_kept(address: str, path: str) -> None:
    assert path_of(address) == path


def test_a_path_of_this_server_is_kept_as_it_is() -> None:
    assert own_path("/runs/7?tab=log#end") == "/runs/7?tab=log#end"


@pytest.mark.parametrize(
    "target", ["http://[", "//[", "//elsewhere.example", "/\\elsewhere.example", "\ud800"]
)
def test_signing_in_leads_to_this_server_whatever_the_address_asks_for(app: FastAPI, target: str) -> None:
    stranger = TestClient(app, raise_server_exceptions=False)
    for path in ("/login", "/login/link"):
        page = stranger.get(f"{path}?next={quote(target.encode('utf-8', 'surrogatepass'))}")
        assert page.status_code == 200
        assert "elsewhere" not in page.text
