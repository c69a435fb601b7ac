"""What a check found over a version, counted."""

import json

from app.mask_checks.report import MaskReport
from app.masking import (
    ChatTokenizer,
    MaskSettings,
    arrays_hash,
    preview,
    verify,
)
from tests.support.masks import CONVERSATIONS, chat


def test_a_green_report_counts_everything(smollm2: ChatTokenizer) -> None:
    seen: list[int] = []
    report, arrays = verify(
        smollm2,
        CONVERSATIONS,
        MaskSettings(max_length=100),
        validation_ids=frozenset({12}),
        progress=seen.append,
    )
    assert report.green
    assert (report.conversations, report.samples, report.refused, report.dropped) == (4, 4, 0, 0)
    assert report.tokens == len(arrays.input_ids) == len(arrays.labels)
    assert report.trained == int((arrays.labels != -100).sum())
    assert report.truncated_samples == 1
    assert (
        report.truncated_trained_tokens == report.truncated_tokens - 1
    )  # the last line break is no trained token
    assert report.spelled_control_tokens == 3
    assert sum(report.trained_ratio.counts) == sum(report.lengths.counts) == 4
    assert report.hash == arrays.hash == arrays_hash(arrays.input_ids, arrays.labels, arrays.offsets)
    assert arrays.conversation_ids.tolist() == [11, 12, 13, 14]
    assert arrays.split.tolist() == [0, 1, 0, 0]
    assert {13, 14} <= set(report.suspicious)
    assert seen == [4]
    json.dumps(MaskReport.of(report).to_json())


def test_a_red_report_names_the_first_failures(smollm2: ChatTokenizer, trl_templates: dict[str, str]) -> None:
    gemma = smollm2.with_chat_template(trl_templates["gemma"], "gemma", trusted=True)
    report, arrays = verify(
        gemma,
        [*CONVERSATIONS, (15, chat("q", "a", system="s")), (16, chat("only a question"))],
        MaskSettings(),
    )
    assert not report.green
    assert [(failure.conversation_id, failure.check) for failure in report.failures] == [
        (15, "refused"),
        (16, "trains_something"),
    ]
    assert "System role not supported" in str(report.failures[0].sentence)
    assert (report.refused, report.dropped, report.failing_conversations) == (1, 1, 2)
    assert len(arrays) == 4
    checks = {check["name"]: check["failed"] for check in MaskReport.of(report).to_json()["checks"]}
    assert checks["refused"] == checks["trains_something"] == 1


def test_a_failure_leads_to_the_token(smollm2: ChatTokenizer) -> None:
    source = (
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "no end", trusted=True)
    report, _ = verify(tokenizer, [(5, chat("q", "an answer"))], MaskSettings())
    failure = report.failures[0]
    assert (failure.conversation_id, failure.sample, failure.check) == (5, 0, "end_of_turn")
    token = preview(tokenizer, chat("q", "an answer"), MaskSettings())[0]["tokens"][failure.token]
    assert token["role"] == "assistant"
    assert "turn 2" in str(failure.sentence)


def test_an_empty_version_is_not_green(smollm2: ChatTokenizer) -> None:
    assert not verify(smollm2, [], MaskSettings())[0].green
