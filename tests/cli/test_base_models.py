"""The base models of a server from a shell: listed, prepared, removed."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.base_models.models import ModelEntry
from app.base_models.schemas import BaseModelOut
from app.cli import base_models
from app.client.pipeline import begin_base_model
from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import Job, JobState
from app.sentences import Failure, FailureCode
from tests.cli.conftest import LiveServer
from tests.support.training import make_check, make_model

pytestmark = pytest.mark.usefixtures("silent_bell")


def names(app: FastAPI) -> list[str]:
    with reading(app.state.engine) as session:
        return [model.name for model in session.exec(select(ModelEntry).order_by(ModelEntry.name))]


def test_a_model_is_prepared_listed_and_removed_by_the_name_it_was_given(
    app: FastAPI, live: LiveServer
) -> None:
    prepare = ("models", "prepare", "org/chat", "--no-wait")
    begun = live.run(*prepare, "--name", "Chat", "--revision", "v2", "--json")
    found = begun.json
    assert (found["name"], found["source"], found["revision"]) == ("Chat", "hub", "v2")
    assert "“Chat” is being prepared." in begun.stderr
    # Again is harmless, by any of its names.
    for known in ("org/chat", "Chat", str(found["id"])):
        assert live.run("models", "prepare", known, "--no-wait", "--json").json["id"] == found["id"]
    (listed,) = live.run("models", "list", "--json").json
    assert (listed["reference"], listed["job"]["state"]) == ("org/chat", "queued")
    assert "queued" in live.run("models", "list").stdout
    refused = live.run("models", "remove", "Chat")
    assert (refused.code, "Cancel that in the queue" in refused.error) == (1, True)
    with transaction(app.state.engine) as session:
        claim = jobs.claim(session, found["job"]["id"], owner="w", lease_seconds=30)
        assert claim is not None
        failure = Failure.of(FailureCode.MODEL_MISSING, "The hub has no such model.")
        jobs.finish(session, claim, JobState.FAILED, failure=failure)
    shown = live.run("models", "list")
    assert ("failed" in shown.stdout, "Chat: The hub has no such model." in shown.stderr) == (True, True)
    # What failed is tried again, of another revision where that was the mistake.
    again = live.run(*prepare, "--revision", "main", "--json")
    assert again.code == 0, again.stderr
    assert again.json["revision"] == "main"
    with transaction(app.state.engine) as session:
        for job in session.exec(select(Job)):
            job.state = JobState.CANCELLED
    removed = live.run("models", "remove", "org/chat")
    assert (removed.code, "“Chat” was removed" in removed.stderr) == (0, True)
    assert names(app) == []
    assert "“sft-studio models list” names them" in live.run("models", "remove", "Chat").error


def test_a_model_that_is_here_is_not_another_one_because_of_its_options(
    app: FastAPI, live: LiveServer
) -> None:
    with transaction(app.state.engine) as session:
        make_model(session, name="small").revision = "abc"
    for options in (("--name", "other"), ("--revision", "main")):
        refused = live.run("models", "prepare", "small", *options)
        assert (refused.code, "leave --name and --revision out" in refused.error) == (1, True), options
    same = live.run("models", "prepare", "small", "--name", " small ", "--revision", "abc")
    assert (same.code, "“small” is ready" in same.stderr) == (0, True)
    assert names(app) == ["small"]
    nowhere = live.run("models", "prepare", "nothing of the kind")
    assert (nowhere.code, "Name one of the server's, a hub id" in nowhere.error) == (1, True)
    assert (
        "--revision is for models of the hub"
        in live.run("models", "prepare", "run:7", "--revision", "v1").error
    )


def test_a_model_that_something_was_made_with_stays(
    app: FastAPI, live: LiveServer, storage: Storage, tmp_path: Path
) -> None:
    with transaction(app.state.engine) as session:
        check = make_check(session, storage)
        used = session.get_one(ModelEntry, check.base_model_id).name
    refused = live.run("models", "remove", used, LANG="zh_CN.UTF-8")
    assert (refused.code, used in refused.error) == (1, True)
    assert "must stay repeatable" in live.run("models", "remove", used).error
    assert names(app) == [used]


def test_one_whose_preparation_fails_is_printed_as_it_ended_and_not_begun_again(
    app: FastAPI, live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is so quick that it has failed before anybody waits for it."""

    def begun_and_failed(*asked: Any, **more: Any) -> BaseModelOut:
        found = begin_base_model(*asked, **more)
        with transaction(app.state.engine) as session:
            job = session.exec(select(Job)).one()
            claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
            assert claim is not None
            failure = Failure.of(FailureCode.MODEL_MISSING, "The hub has no such model.")
            jobs.finish(session, claim, JobState.FAILED, failure=failure)
        return found

    monkeypatch.setattr(base_models, "begin_base_model", begun_and_failed)
    ended = live.run("models", "prepare", "org/other", "--json")
    assert (ended.code, ended.json["is_ready"], ended.json["job"]["state"]) == (1, False, "failed")
    assert "The hub has no such model." in ended.stderr
