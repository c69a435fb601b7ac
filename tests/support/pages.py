"""Every page of an installation with a little of everything, as one reaches it from the start."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import select

from app.conversations.models import Conversation, ReviewState
from app.core.database import transaction
from app.datasets.service import create_dataset
from app.evaluations.service import start_evaluation
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.runs.models import RunArtifact
from tests.support.training import ENGINEER, make_model, make_run


class Offers(HTMLParser):
    """What a page offers: (verb, address) of every link, form and htmx request."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self._method = "GET"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._method = given.get("method", "get").upper()
            self._add(self._method, given.get("action"))
        self._add(self._method, given.get("formaction"))
        if tag == "a":
            self._add("GET", given.get("href"))
        for verb in ("get", "post", "put", "patch", "delete"):
            self._add(verb.upper(), given.get(f"hx-{verb}"))

    def _add(self, method: str, address: str | None) -> None:
        if address and address.startswith("/") and not address.startswith("/static/"):
            self.found.add((method, address))


@pytest.fixture
def run_id(app: FastAPI, silent_bell: None) -> int:
    """A finished run with an adapter, its version, its check, conversations in each state, a running evaluation."""
    storage = app.state.storage
    with transaction(app.state.engine) as session:
        create_dataset(session, ENGINEER, name="Empty")
        make_model(session, name="waiting", ready=False)
        run, job = make_run(session, storage)
        for row, state in zip(session.exec(select(Conversation)), ReviewState, strict=False):
            row.review_state = state
            session.add(row)
        claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
        assert claim is not None
        jobs.finish(session, claim, JobState.SUCCEEDED, result={})
        run.adapter_key = "jobs/9/1/adapter"
        storage.folder(run.adapter_key)
        file = RunArtifact(run_id=run.id or 0, name="a.json", storage_key="a", size_bytes=1, sha256="a" * 64)
        session.add_all([run, file])
        session.flush()
        start_evaluation(session, storage, ENGINEER, run, "sales-en")
        assert run.id is not None
        return run.id


def pages_of(browser: TestClient) -> Iterator[tuple[str, str, set[tuple[str, str]]]]:
    """Every page that can be reached by what pages offer from the start on: its address, its text, its offers."""
    seen, waiting = {"/datasets"}, ["/datasets"]
    while waiting:
        address = waiting.pop()
        response = browser.get(address, follow_redirects=True)
        if "text/html" not in response.headers["content-type"]:
            continue
        offers = Offers()
        offers.feed(response.text)
        yield address, response.text, offers.found
        # In order, so that a list comes as it is before it comes narrowed.
        for method, other in sorted(offers.found):
            path = urlsplit(other).path
            # One of each kind is enough, and previews of masks need a tokenizer.
            kept = path.startswith(("/datasets", "/conversations"))
            kind = path if kept else re.sub(r"\d+", "N", path)
            if method == "GET" and kind not in seen and not path.endswith(("/mask", "/export")):
                seen.add(kind)
                waiting.append(other)
