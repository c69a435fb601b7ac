"""Guessing passwords: limited by name and by address, logged without passwords, and never at the others' cost."""

import asyncio
import logging
import threading

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts.sign_in import BY_ADDRESS, BY_NAME, PASSWORDS
from tests.support.live import serving
from tests.support.patience import HANGING_SECONDS, all_begun
from tests.support.people import PASSWORD, Person, visible_text


def visitor(app: FastAPI, address: str = "192.0.2.1", language: str = "en") -> TestClient:
    return TestClient(app, client=(address, 1), follow_redirects=False, headers={"Accept-Language": language})


def guess(client: TestClient, name: str, password: str = "wrong guess") -> httpx.Response:
    return client.post("/login", data={"name": name, "password": password})


def test_a_name_is_guessed_at_a_few_times_only_from_wherever(app: FastAPI, annotator: Person) -> None:
    name = annotator.actor.name
    for number in range(BY_NAME.amount):
        assert (
            guess(visitor(app, f"192.0.2.{number}"), name.upper() if number % 2 else name).status_code == 401
        )
    refused = guess(visitor(app, "192.0.2.200"), name, PASSWORD)
    assert refused.status_code == 429
    seconds = int(refused.headers["retry-after"])
    assert 0 < seconds <= 300
    assert f"Try again in {seconds} seconds." in visible_text(refused.text)
    assert f'value="{name}"' in refused.text
    chinese = visible_text(guess(visitor(app, "192.0.2.201", "zh-CN"), name).text)
    assert "登录尝试次数过多" in chinese


def test_another_name_is_not_held_up(app: FastAPI, annotator: Person, reviewer: Person) -> None:
    for number in range(BY_NAME.amount + 1):
        guess(visitor(app, f"192.0.2.{number}"), annotator.actor.name)
    assert guess(visitor(app), reviewer.actor.name, PASSWORD).status_code == 303


def test_an_address_guesses_at_few_names(
    app: FastAPI, annotator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a hash costs is not the question here.
    monkeypatch.setattr("app.accounts.sign_in.password_fits", lambda _hash, password: password == PASSWORD)
    for number in range(BY_ADDRESS.amount):
        assert guess(visitor(app), f"nobody {number}").status_code == 401
    assert guess(visitor(app), annotator.actor.name, PASSWORD).status_code == 429
    assert guess(visitor(app, "192.0.2.2"), annotator.actor.name, PASSWORD).status_code == 303


def test_a_right_password_ends_the_count(app: FastAPI, annotator: Person) -> None:
    for _ in range(3):
        for _ in range(BY_NAME.amount // 2):
            assert guess(visitor(app), annotator.actor.name).status_code == 401
        assert guess(visitor(app), annotator.actor.name, PASSWORD).status_code == 303


def test_sign_ins_are_logged_and_what_was_typed_is_not(
    app: FastAPI, annotator: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sft_studio")
    guess(visitor(app), annotator.actor.name, "my secret words")
    guess(visitor(app), "my secret words in the wrong field", "x")
    guess(visitor(app), annotator.actor.name, PASSWORD)
    lines = [record.getMessage() for record in caplog.records if "sign_in" in record.name]
    assert lines == [
        f"sign-in of {annotator.actor.name!r} from 192.0.2.1 failed",
        "sign-in of an unknown name from 192.0.2.1 failed",
        f"sign-in of {annotator.actor.name!r} from 192.0.2.1",
    ]
    assert "secret" not in caplog.text


def test_wrong_passwords_do_not_hold_up_those_who_work(
    app: FastAPI, annotator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    def compare(_hash: str | None, _password: str) -> bool:
        begun.release()
        assert go.wait(HANGING_SECONDS)
        return False

    monkeypatch.setattr("app.accounts.sign_in.password_fits", compare)

    async def call(url: str) -> tuple[list[int], list[int]]:
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=url, limits=limits, timeout=120, trust_env=False) as strangers,
            httpx.AsyncClient(
                base_url=url, headers={"Authorization": annotator.api.headers["Authorization"]}, timeout=120
            ) as person,
        ):
            form = {"name": "nobody", "password": "wrong guess"}
            guesses = [asyncio.create_task(strangers.post("/login", data=form)) for _ in range(30)]
            assert await asyncio.to_thread(all_begun, begun, PASSWORDS.at_once)
            answers = [
                (await person.post("/api/v1/datasets", json={"name": "Calls"})).status_code,
                (await person.get("/api/v1/datasets")).status_code,
                (await strangers.get("/healthz")).status_code,
            ]
            go.set()  # whoever works was answered while every place was taken by a guess
            return answers, [(await task).status_code for task in guesses]

    with serving(app) as url:
        answers, guesses = asyncio.run(call(url))
    assert answers == [201, 200, 200]
    # Where the machine is slow, who waited long for a place is told to try again.
    assert set(guesses) <= {401, 429, 503}
    assert guesses.count(401) <= BY_NAME.amount
