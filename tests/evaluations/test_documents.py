"""What evaluations store: the summaries of earlier programs read on, and OpenAPI shows them whole."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.core.i18n import use_locale
from app.evaluations.documents import EvaluationSummary, JudgedCheck, JudgedScores
from tests.support.people import Person

STORED = sorted((Path(__file__).parent / "stored").glob("summary_*.json"))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_summaries_of_earlier_programs_read_on(path: Path) -> None:
    old = read(path)
    summary = EvaluationSummary.stored(old)
    now = summary.to_json()
    assert EvaluationSummary.stored(json.loads(json.dumps(now))) == summary
    for name in ("held_out_loss", "perplexity", "base", "tuned"):
        assert now[name] == old[name]
    assert (summary.retention is None) == ("retention" not in old)
    assert summary.verdict is None
    if summary.retention is not None:
        kept = old["retention"]
        assert (summary.retention.value, summary.retention.warns) == (kept["value"], kept["warns"])
        assert summary.retention.detail == "100 % of the general ability is kept"
        with use_locale("zh-CN"):
            assert re.search("[\u4e00-\u9fff]", summary.retention.detail)


def test_a_suite_without_answers_has_no_scores() -> None:
    empty = {"answers": 0, "checks": 0, "checks_passed": 0, "check_score": None, "scores": {}}
    summary = EvaluationSummary.stored({"base": empty, "tuned": empty})
    assert summary.base.scores.mean is None
    assert summary.held_out_loss is None


def test_checks_and_scores_are_told_in_the_readers_language() -> None:
    check = {
        "name": "length",
        "kind": "max_length",
        "passed": True,
        "detail": "%(percent)d %% of the general ability is kept",
        "params": {"percent": 5, "limit": 9},
        "evidence": [[0, 3]],
    }
    score = {"value": 0.5, "detail": "The answer is empty", "params": {}}
    names = ("relevance", "completeness", "professionalism", "safety", "format")
    with use_locale("zh-CN"):
        (judged,) = JudgedCheck.of_answer([check])
        scores = JudgedScores.of_answer({**dict.fromkeys(names, score), "mean": 0.5})
        assert re.search("[\u4e00-\u9fff]", judged.detail)
        assert re.search("[\u4e00-\u9fff]", scores.safety.detail)
    assert judged.evidence == [(0, 3)]
    assert scores.values() == {**dict.fromkeys(names, 0.5), "mean": 0.5}
    failed = JudgedCheck.of_answer([check, {**check, "passed": False}, {**check, "passed": False}])
    capped = JudgedScores.of_answer({**dict.fromkeys(names, score), "mean": 0.5}, failed)
    assert capped.mean == pytest.approx(1 / 3)


def test_the_openapi_document_shows_evaluations_whole(engineer: Person) -> None:
    schemas = engineer.api.get("/api/v1/openapi.json").json()["components"]["schemas"]
    summary = schemas["EvaluationOut"]["properties"]["summary"]["anyOf"][0]
    assert summary == {"$ref": "#/components/schemas/EvaluationSummary"}
    assert schemas["AnswerOut"]["properties"]["checks"]["items"] == {
        "$ref": "#/components/schemas/JudgedCheck"
    }
    verdict = schemas["JudgedSuite"]["properties"]
    assert {"outcome", "level", "sure", "low", "high", "detail", "certainty_detail"} <= set(verdict)
    assert schemas["JudgedRun"]["properties"]["advice"]["items"] == {
        "$ref": "#/components/schemas/AdviceTold"
    }
    assert schemas["AnswerOut"]["properties"]["scores"] == {"$ref": "#/components/schemas/JudgedScores"}
