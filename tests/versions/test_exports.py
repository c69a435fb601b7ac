"""A frozen version as a download: through REST, from the page, and imported again."""

import io
import json
import zipfile
from typing import Any

import pytest

from tests.conversations.conftest import DIALOGUE
from tests.support.people import Person, problem_of, visible_text

CONTEXT_FIRST = [{**DIALOGUE[0]}, {**DIALOGUE[1], "train": False}, *DIALOGUE[2:]]
CONTEXT_LAST = [*DIALOGUE[:3], {**DIALOGUE[3], "train": False}]
TWO_ANSWERS = [DIALOGUE[0], DIALOGUE[1], DIALOGUE[3]]


def frozen(reviewer: Person, engineer: Person, dataset_id: int, *dialogues: list[dict[str, Any]]) -> int:
    """The id of a version with these dialogues."""
    for number, messages in enumerate(dialogues):
        body = {"messages": messages, "stage": f"stage {number}"}
        answer = engineer.api.post(f"/api/v1/datasets/{dataset_id}/conversations", json=body)
        assert answer.status_code == 201, answer.text
    reviewer.api.post(f"/api/v1/datasets/{dataset_id}/review", json={"state": "approved"})
    found: int = engineer.api.post(f"/api/v1/datasets/{dataset_id}/versions").json()["id"]
    return found


@pytest.fixture
def version_id(reviewer: Person, engineer: Person, dataset_id: int) -> int:
    """A version with three dialogues whose flags are those of no tool without flags."""
    return frozen(
        reviewer, engineer, dataset_id, DIALOGUE, CONTEXT_FIRST[:4] + DIALOGUE[:2], CONTEXT_LAST[1:]
    )


@pytest.mark.parametrize("format", ["messages", "sharegpt", "csv", "axolotl"])
def test_what_is_downloaded_can_be_imported_again_with_its_flags_and_labels(
    annotator: Person, engineer: Person, version_id: int, format: str
) -> None:
    answer = engineer.api.get(f"/api/v1/versions/{version_id}/export", params={"as": format})
    assert answer.status_code == 200
    assert json.loads(answer.headers["X-Export-Report"])["conversations"] == 3
    assert "attachment" in answer.headers["Content-Disposition"]
    content, name = answer.content, "back.jsonl" if format != "csv" else "back.csv"
    if format == "axolotl":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert set(archive.namelist()) == {"train.jsonl", "config.yml"}
            content = archive.read("train.jsonl")
    other = annotator.api.post("/api/v1/datasets", json={"name": "Back"}).json()["id"]
    report = annotator.api.post(f"/api/v1/datasets/{other}/imports", files={"file": (name, content)})
    assert (report.status_code, report.json()["accepted"]) == (201, 3)

    def content_of(dataset: int) -> list[Any]:
        page = annotator.api.get(f"/api/v1/datasets/{dataset}/conversations").json()
        kept = [
            {"messages": item["messages"], "stage": item["stage"], "language": item["language"]}
            for item in page["conversations"]
        ]
        return sorted(kept, key=lambda item: str(item["stage"]))

    first = annotator.api.get("/api/v1/datasets").json()
    original = next(item["id"] for item in first if item["name"] == "Calls")
    assert content_of(other) == content_of(original)


def test_flags_that_llamafactory_cannot_hold_are_refused_and_can_be_split(
    engineer: Person, version_id: int
) -> None:
    path = f"/api/v1/versions/{version_id}/export"
    refused = engineer.api.get(path, params={"as": "llamafactory"})
    assert refused.status_code == 422
    assert refused.json()["field"] == "flags"
    assert "LLaMA-Factory has no flags for single turns" in problem_of(refused)
    split = engineer.api.get(path, params={"as": "alpaca", "flags": "split", "leave_out": "true"})
    report = json.loads(split.headers["X-Export-Report"])
    assert report["samples"] == len(split.text.splitlines())
    assert report["samples"] > report["conversations"]


def test_dialogues_that_do_not_fit_are_named_counted_and_left_out_on_request(
    reviewer: Person, engineer: Person, dataset_id: int
) -> None:
    version_id = frozen(reviewer, engineer, dataset_id, DIALOGUE, TWO_ANSWERS)
    path = f"/api/v1/versions/{version_id}/export"
    refused = engineer.api.get(path, params={"as": "llamafactory"})
    assert refused.status_code == 422
    assert "1 of 2 conversations does not fit" in problem_of(refused)
    assert len(refused.json()["errors"]) == 1
    chinese = engineer.api.get(path, params={"as": "llamafactory"}, headers={"Accept-Language": "zh-CN"})
    assert "2 段对话中有 1 段不符合格式" in problem_of(chinese)
    left_out = engineer.api.get(path, params={"as": "llamafactory", "leave_out": "true"})
    assert json.loads(left_out.headers["X-Export-Report"])["left_out"] == 1


@pytest.mark.parametrize(("params", "status"), [({"as": "docx"}, 422), ({}, 422)])
def test_an_unknown_format_is_refused(
    engineer: Person, version_id: int, params: dict[str, str], status: int
) -> None:
    assert engineer.api.get(f"/api/v1/versions/{version_id}/export", params=params).status_code == status
    assert engineer.api.get("/api/v1/versions/999/export", params={"as": "csv"}).status_code == 404


def test_the_versions_page_leads_to_the_download_page_and_its_form_to_the_file(
    engineer: Person, dataset_id: int, version_id: int
) -> None:
    base = f"/datasets/{dataset_id}/versions"
    assert f'href="{base}/1/download"' in engineer.browser.get(base).text
    page = engineer.browser.get(f"{base}/1/download")
    assert "LLaMA-Factory" in visible_text(page.text)
    assert "sft-studio export --dataset Calls --version 1" in visible_text(page.text)
    file = engineer.browser.get(
        f"{base}/1/export", params={"as": "messages", "flags": "refuse", "part": "all"}
    )
    assert len(file.text.splitlines()) == 3
    assert file.headers["Content-Disposition"] == 'attachment; filename="calls_v1.messages.jsonl"'
    assert engineer.browser.get(f"{base}/2/download").status_code == 404


def test_the_download_page_says_what_does_not_fit_and_offers_to_leave_it_out(
    reviewer: Person, engineer: Person, dataset_id: int
) -> None:
    frozen(reviewer, engineer, dataset_id, DIALOGUE, TWO_ANSWERS)
    base = f"/datasets/{dataset_id}/versions/1/export"
    page = engineer.browser.get(base, params={"as": "llamafactory"})
    assert page.status_code == 422
    assert "Leave out 1 conversation and download" in visible_text(page.text)
    file = engineer.browser.get(base, params={"as": "llamafactory", "leave_out": "true"})
    assert file.headers["Content-Type"] == "application/zip"


def test_a_name_in_another_script_gives_a_name_that_every_tool_takes(
    reviewer: Person, engineer: Person
) -> None:
    dataset = engineer.api.post("/api/v1/datasets", json={"name": "销售, 电话/通话"}).json()["id"]
    version_id = frozen(reviewer, engineer, dataset, DIALOGUE)
    answer = engineer.api.get(f"/api/v1/versions/{version_id}/export", params={"as": "llamafactory"})
    assert f'filename="dataset-{dataset}_v1.llamafactory.zip"' in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert list(json.loads(archive.read("dataset_info.json"))) == [f"dataset-{dataset}_v1"]
