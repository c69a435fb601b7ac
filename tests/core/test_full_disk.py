"""A disk without room: whatever writes a file says so, nothing is half there, and reading goes on."""

import errno
import json
import os
from pathlib import Path
from typing import NoReturn

import pytest
from fastapi import FastAPI

from app.core.storage import Storage
from app.files import tells_full_disk
from tests.support.disks import small_disk
from tests.support.installation import SAMPLES
from tests.support.people import Person

LARGE = json.dumps({"messages": [{"role": "user", "content": "x" * 2_000_000}]}).encode()
UNKNOWN = b'[{"seller": "Hello", "customer": "And the price?"}]'


def test_every_kind_of_write_is_refused_in_a_sentence_and_works_once_there_is_room(
    app: FastAPI, reviewer: Person, engineer: Person
) -> None:
    lines = (SAMPLES / "sales.en.jsonl").read_bytes().splitlines(keepends=True)[:3]
    dataset = engineer.api.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]
    path = f"/api/v1/datasets/{dataset}"
    imported = engineer.api.post(f"{path}/imports", files={"file": ("a.jsonl", b"".join(lines))})
    assert imported.status_code < 300
    assert reviewer.api.post(f"{path}/review", json={"state": "approved"}).status_code == 200
    version = engineer.api.post(f"{path}/versions").json()["id"]
    changed = engineer.api.get(f"{path}/conversations").json()["conversations"][0]
    asked = {
        "a row": lambda: engineer.api.post("/api/v1/datasets", json={"name": "More"}),
        "a large upload": lambda: engineer.api.post(f"{path}/imports", files={"file": ("b.jsonl", LARGE)}),
        "a file that waits": lambda: engineer.browser.post(
            f"/datasets/{dataset}/import", files={"file": ("c.json", UNKNOWN)}
        ),
        "a version": lambda: engineer.api.post(f"{path}/versions"),
        "an export": lambda: engineer.api.get(f"/api/v1/versions/{version}/export?as=messages"),
        "a bundle": lambda: engineer.api.get(f"/api/v1/versions/{version}/export?as=llamafactory"),
        "an erasure": lambda: reviewer.api.post(f"/api/v1/conversations/{changed['id']}/erase"),
    }
    with small_disk(0):
        told = {name: ask() for name, ask in asked.items()}
        assert engineer.api.get(path).status_code == 200
    refused = {name: (answer.status_code, "disk" in answer.text) for name, answer in told.items()}
    assert refused == dict.fromkeys(asked, (503, True))
    assert [file.name for file in app.state.storage.path("incoming").glob("*")] == []
    assert engineer.api.get(path).json()["approved"] == 3
    assert [name for name, ask in asked.items() if ask().status_code >= 500] == []


@pytest.mark.parametrize("refusal", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_disk_that_may_not_be_written_is_said_to_be_so(
    app: FastAPI, engineer: Person, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    dataset = engineer.api.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]

    def refuse(**_how: object) -> NoReturn:
        raise OSError(refusal, os.strerror(refusal))

    # Whoever runs the tests may be root, whom no mode of a folder keeps out.
    monkeypatch.setattr("app.core.storage.tempfile.mkstemp", refuse)
    answer = engineer.browser.post(f"/datasets/{dataset}/import", files={"file": ("c.json", UNKNOWN)})
    assert answer.status_code == 503
    assert "may not write to its data folder" in answer.text
    assert answer.headers["Retry-After"]


def test_a_file_that_finds_no_room_does_not_appear(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with (
        small_disk(0),
        pytest.raises(OSError, match="File too large") as caught,
        storage.write("a/b") as file,
    ):
        file.write(b"x" * 100_000)
    assert tells_full_disk(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


def test_what_only_repeats_the_words_of_the_system_is_known_too() -> None:
    said = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    around = ValueError("the adapter could not be saved")
    around.__cause__ = said
    assert tells_full_disk(around)
    assert not tells_full_disk(OSError(13, "Permission denied"))
