"""The report as a document: it survives storage, reads what earlier programs stored, and is whole in OpenAPI."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.i18n import use_locale
from app.mask_checks.report import MaskReport
from app.mask_settings.fields import MASK_FIELDS
from app.masking import ChatTokenizer, MaskSettings, verify
from tests.mask_checks.conftest import ATTACK, LONG, UNANSWERED, ordinary
from tests.support.people import Person
from tests.support.tokenizers import smollm2

__all__ = ["smollm2"]
STORED = sorted((Path(__file__).parent / "stored").glob("report_*.json"))
COUNTS = [
    "green",
    "conversations",
    "samples",
    "refused",
    "dropped",
    "tokens",
    "trained",
    "skipped",
    "truncated_samples",
    "truncated_tokens",
    "truncated_trained_tokens",
    "spelled_control_tokens",
    "rewritten_turns",
    "longest",
    "failing_conversations",
    "suspicious",
    "hash",
]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_what_earlier_programs_stored_reads_on(path: Path) -> None:
    old = read(path)
    report = MaskReport.stored(old)
    assert {name: getattr(report, name) for name in COUNTS} == {name: old[name] for name in COUNTS}
    assert report.settings.to_settings() == MaskSettings(
        old["strategy"],
        old["handling"],
        old["max_length"],
        old["control_tokens"],
        old["train_reasoning"],
        old.get("template_arguments", {}),
    )
    assert [check.model_dump() for check in report.checks] == old["checks"]
    assert report.trained_ratio.model_dump() == old["trained_ratio"]
    assert report.lengths.model_dump() == old["lengths"]
    told = [(one.conversation_id, one.check, one.sample, one.token, one.detail) for one in report.failures]
    assert told == [
        tuple(one[name] for name in ("conversation_id", "check", "sample", "token", "detail"))
        for one in old["failures"]
    ]
    assert {one.conversation_id for one in report.suspects} == set(old["suspicious"])
    assert report.suspects[0].reasons[0].check == "trains_something"
    # read again from what it is stored as now, it is the same
    assert MaskReport.stored(json.loads(json.dumps(report.to_json()))) == report


def test_the_sentences_of_old_reports_are_said_in_chinese_too() -> None:
    for path in STORED:
        with use_locale("zh-CN"):
            assert re.search("[\u4e00-\u9fff]", MaskReport.stored(read(path)).failures[0].detail)


def test_a_report_is_stored_whole(smollm2: ChatTokenizer) -> None:
    dialogues = [ordinary(1), LONG, ATTACK, UNANSWERED, ordinary(2)]
    found, _arrays = verify(
        smollm2,
        [(number, {"messages": messages}) for number, messages in enumerate(dialogues)],
        MaskSettings(max_length=120, train_reasoning=False),
    )
    report = MaskReport.of(found, file_hash="f" * 64)
    assert MaskReport.stored(json.loads(json.dumps(report.to_json()))) == report
    assert (report.hash, report.tokenizer_hash, report.file_hash) == (
        found.hash,
        found.tokenizer_hash,
        "f" * 64,
    )
    assert set(report.to_json()["settings"]) == {one.name for one in MASK_FIELDS}
    assert report.skipped == report.tokens - report.trained


def test_what_is_no_report_is_refused() -> None:
    for document in ({"schema_version": 2}, {"schema_version": 9, "green": True}):
        with pytest.raises(ValidationError):
            MaskReport.stored(document)


def test_the_openapi_document_shows_the_report_whole(engineer: Person) -> None:
    schemas = engineer.api.get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert schemas["MaskCheckOut"]["properties"]["report"]["anyOf"][0] == {
        "$ref": "#/components/schemas/MaskReport"
    }
    for name in (
        "MaskReport",
        "ReportFailure",
        "ReportSuspect",
        "ReportReason",
        "CheckCount",
        "Distribution",
    ):
        for field in schemas[name]["properties"].values():
            assert field.get("type") != "object" or "additionalProperties" in field
