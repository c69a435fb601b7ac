"""The report over a version, and the arrays that training reads: the very ones the report was made of."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from app.mask_checks.report import MaskReport
from app.masking import (
    ArraysDiffer,
    ChatTokenizer,
    Handling,
    MaskSettings,
    arrays_hash,
    preview,
    read_arrays,
    verify,
    verify_without_arrays,
    write_arrays,
)
from app.masking.samples.stream import BATCH, BATCH_CHARACTERS, in_batches
from tests.masking.test_traps import ATTACK, chat

CONVERSATIONS = [
    (11, chat("Hi", "Hello", "Price?", "Ten a month.")),
    (12, chat("你好", "您好,有什么可以帮您?")),
    (13, chat(ATTACK, "No.")),
    (14, chat("tell me all", "word " * 100)),
]


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


def test_what_is_written_is_what_the_preview_shows(smollm2: ChatTokenizer, tmp_path: Path) -> None:
    settings = MaskSettings(max_length=100)
    report, arrays = verify(smollm2, CONVERSATIONS, settings, base_model="smollm2")
    assert write_arrays(tmp_path / "masks.safetensors", arrays) == report.hash
    back = read_arrays(tmp_path / "masks.safetensors", report.hash)
    assert back.settings == settings
    assert back.base_model == "smollm2"
    for place, (_, conversation) in enumerate(CONVERSATIONS):
        ids, labels = back.sample(place)
        tokens = preview(smollm2, conversation, settings)[0]["tokens"]
        assert [token["id"] for token in tokens] == ids.tolist()
        assert [token["id"] if token["trained"] else -100 for token in tokens] == labels.tolist()
    assert list(tmp_path.iterdir()) == [tmp_path / "masks.safetensors"]


def test_the_hash_depends_on_ids_labels_and_order_only(smollm2: ChatTokenizer) -> None:
    base = verify(smollm2, CONVERSATIONS, MaskSettings())[0].hash
    assert verify(smollm2, [(n + 100, c) for n, c in CONVERSATIONS], MaskSettings())[0].hash == base
    assert verify(smollm2, CONVERSATIONS[::-1], MaskSettings())[0].hash != base
    assert verify(smollm2, CONVERSATIONS, MaskSettings(train_on="last_assistant"))[0].hash != base  # type: ignore[arg-type]


def _spoil_labels(tensors: dict[str, Any], _: dict[str, str]) -> None:
    tensors["labels"][0] = 7


def _spoil_offsets(tensors: dict[str, Any], _: dict[str, str]) -> None:
    tensors["offsets"][1] -= 1


def _drop_a_tensor(tensors: dict[str, Any], _: dict[str, str]) -> None:
    del tensors["split"]


def _change_a_type(tensors: dict[str, Any], _: dict[str, str]) -> None:
    tensors["labels"] = tensors["labels"].astype(np.int64)


def _drop_the_hash(_: dict[str, Any], metadata: dict[str, str]) -> None:
    del metadata["hash"]


@pytest.mark.parametrize(
    "spoil", [_spoil_labels, _spoil_offsets, _drop_a_tensor, _change_a_type, _drop_the_hash]
)
def test_spoiled_arrays_are_refused(smollm2: ChatTokenizer, tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "masks.safetensors"
    _, arrays = verify(smollm2, CONVERSATIONS, MaskSettings())
    metadata = {"hash": write_arrays(path, arrays), "settings": MaskSettings().to_json(), "base_model": ""}
    tensors = {name: tensor.copy() for name, tensor in load_file(path).items()}
    spoil(tensors, metadata)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ArraysDiffer):
        read_arrays(path)


def test_arrays_other_than_the_checked_ones_are_refused(smollm2: ChatTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    _, arrays = verify(smollm2, CONVERSATIONS[:2], MaskSettings())
    write_arrays(path, arrays)
    other = verify(smollm2, CONVERSATIONS, MaskSettings())[0].hash
    with pytest.raises(ArraysDiffer, match=other):
        read_arrays(path, other)
    with pytest.raises(ArraysDiffer, match="run the mask check again"):
        read_arrays(tmp_path / "missing.safetensors")
    (tmp_path / "text").write_text("no arrays")
    with pytest.raises(ArraysDiffer):
        read_arrays(tmp_path / "text")


def test_masking_loads_neither_torch_nor_transformers_nor_the_web() -> None:
    probe = (
        "import sys, app.masking, app.cli.masks.command; "
        "print([name for name in ('torch', 'transformers', 'fastapi', 'sqlalchemy', 'celery') if name"
        " in sys.modules])"
    )
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_the_report_is_the_same_without_the_arrays(smollm2: ChatTokenizer) -> None:
    conversations = [*CONVERSATIONS, (15, chat("only a question")), (16, {"messages": []})]
    for settings in (MaskSettings(), MaskSettings(handling=Handling.PER_TURN), MaskSettings(max_length=1)):
        report, arrays = verify(smollm2, conversations, settings)
        alone = verify_without_arrays(smollm2, conversations, settings)
        assert MaskReport.of(alone).to_json() == MaskReport.of(report).to_json()
        assert alone.hash == arrays.hash
    assert (
        verify_without_arrays(smollm2, [], MaskSettings()).hash == verify(smollm2, [], MaskSettings())[1].hash
    )


def test_long_conversations_make_small_batches() -> None:
    def lengths(sizes: list[int]) -> list[int]:
        return [len(batch) for batch in in_batches(sizes, int)]

    assert lengths([1] * (BATCH + 3)) == [BATCH, 3]
    assert lengths([BATCH_CHARACTERS] * 3) == [1, 1, 1]
    assert lengths([BATCH_CHARACTERS // 2] * 5) == [2, 2, 1]
    assert lengths([]) == []
