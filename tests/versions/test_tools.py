"""Versions and downloads of conversations with tools; those without keep their bytes and their hash."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.conversations.models import Conversation
from app.core.database import transaction
from app.versions.models import DatasetVersion
from tests.conversations.conftest import DIALOGUE
from tests.support.people import Person, problem_of

TOOL = {"type": "function", "function": {"name": "price", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "price", "arguments": '{"sku":"A"}'}}
CALLING = [
    DIALOGUE[0],
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "12", "tool_call_id": "c1"},
    {"role": "assistant", "content": "Twelve."},
]


def freeze(reviewer: Person, engineer: Person, dataset_id: int, *bodies: dict[str, Any]) -> dict[str, Any]:
    for body in bodies:
        answer = engineer.api.post(f"/api/v1/datasets/{dataset_id}/conversations", json=body)
        assert answer.status_code == 201, answer.text
    reviewer.api.post(f"/api/v1/datasets/{dataset_id}/review", json={"state": "approved"})
    found: dict[str, Any] = engineer.api.post(f"/api/v1/datasets/{dataset_id}/versions").json()
    return found


def export(person: Person, version: int, format: str, **asked: Any) -> Any:
    return person.api.get(f"/api/v1/versions/{version}/export", params={"as": format, **asked})


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_a_version_without_tools_is_the_file_that_it_was_before_there_were_any(
    reviewer: Person, engineer: Person, dataset_id: int
) -> None:
    version = freeze(
        reviewer, engineer, dataset_id, {"messages": DIALOGUE, "stage": "demo", "tags": ["b", "a"]}
    )
    labels = {"outcome": None, "stage": "demo", "objection": None, "product": None, "language": None}
    found = engineer.api.get(f"/api/v1/datasets/{dataset_id}/conversations").json()["conversations"][0]
    line = {"id": found["id"], "split": "train", "messages": DIALOGUE, **labels, "source": None}
    body = json.dumps({**line, "tags": ["a", "b"]}, ensure_ascii=False, separators=(",", ":")) + "\n"
    assert version["content_hash"] == hashlib.sha256(body.encode()).hexdigest()


@pytest.mark.parametrize("format", ["messages", "openai", "sharegpt", "alpaca", "llamafactory", "trl"])
def test_tools_come_back_from_a_download(
    reviewer: Person, engineer: Person, dataset_id: int, format: str
) -> None:
    messages = DIALOGUE if format in ("sharegpt", "alpaca") else CALLING
    version = freeze(reviewer, engineer, dataset_id, {"messages": messages, "tools": [TOOL]})["id"]
    answer = export(engineer, version, format)
    assert answer.status_code == 200, answer.text
    files: dict[str, tuple[str, bytes]] = {}
    content = answer.content
    if format in ("trl", "llamafactory"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read("train.jsonl")
            # As text: Arrow would fill every tool's schema with the fields of all others.
            assert json.loads(lines(content)[0]["tools"]) == [TOOL]
            if format == "llamafactory":
                info = archive.read("dataset_info.json")
                files["dataset_info"] = ("dataset_info.json", info)
    files["file"] = ("train.jsonl", content)
    other = engineer.api.post("/api/v1/datasets", json={"name": "Back"}).json()["id"]
    report = engineer.api.post(f"/api/v1/datasets/{other}/imports", files=files)
    assert report.status_code == 201, report.text
    (found,) = engineer.api.get(f"/api/v1/datasets/{other}/conversations").json()["conversations"]
    assert (found["tools"], len(found["messages"])) == ([TOOL], len(messages))
    calls = [message.get("tool_calls") for message in found["messages"]]
    if format == "llamafactory":  # an object, and what belongs together stands together
        known = {"type": "function", "function": {"name": "price", "arguments": {"sku": "A"}}}
        assert calls == [None, [known], None, None]
    elif messages is CALLING:
        assert found["messages"] == CALLING


@pytest.mark.parametrize("format", ["axolotl", "csv"])
def test_formats_that_would_lose_tools_say_so_or_leave_the_conversation_out(
    reviewer: Person, engineer: Person, dataset_id: int, format: str
) -> None:
    bodies = [{"messages": DIALOGUE[:2], "tools": [TOOL]}, {"messages": DIALOGUE}]
    version = freeze(reviewer, engineer, dataset_id, *bodies)["id"]
    refused = export(engineer, version, format)
    assert refused.status_code == 422
    assert ("has tools" in problem_of(refused)) is (format == "axolotl")
    report = json.loads(export(engineer, version, format, leave_out=True).headers["X-Export-Report"])
    assert (report["conversations"], report["left_out"]) == (1, 1)


@pytest.mark.parametrize("format", ["openai", "axolotl", "llamafactory", "trl", "sharegpt", "csv", "alpaca"])
def test_a_call_without_a_function_from_before_it_was_refused_stops_no_export(
    app: FastAPI, settings: Any, reviewer: Person, engineer: Person, dataset_id: int, format: str
) -> None:
    """Such rows could be stored and frozen once; they are named, and left out when that is asked."""
    freeze(reviewer, engineer, dataset_id, {"messages": DIALOGUE})
    poisoned = [DIALOGUE[0], {"role": "assistant", "content": "Hm.", "tool_calls": [{"id": "x"}]}]
    with transaction(app.state.engine) as session:
        version = session.exec(select(DatasetVersion)).one()
        number = session.exec(select(Conversation.id)).one()
        path: Path = app.state.storage.path(version.storage_key)
        extra = {"id": (number or 0) + 1, "split": "train", "messages": poisoned, "tags": []}
        data = path.read_bytes() + json.dumps(extra).encode() + b"\n"
        path.chmod(0o644)
        path.write_bytes(data)
        version.content_hash = hashlib.sha256(data).hexdigest()
        version_id = version.id or 0
    refused = export(engineer, version_id, format)
    assert refused.status_code == 422, refused.text
    assert "has a fault from before" in problem_of(refused)
    kept = export(engineer, version_id, format, leave_out=True)
    assert kept.status_code == 200, kept.text
    assert json.loads(kept.headers["X-Export-Report"])["left_out"] == 1
    assert len(lines(export(engineer, version_id, "messages").content)) == 2
