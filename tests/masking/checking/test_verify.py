"""The check of a version gives the same report with and without arrays."""

from typing import Any

import numpy as np

from app.mask_checks.report import MaskReport
from app.masking import (
    ChatTokenizer,
    Handling,
    MaskSettings,
    verify,
    verify_without_arrays,
)
from tests.support.masks import ATTACK, chat

CONVERSATIONS = [
    (11, chat("Hi", "Hello", "Price?", "Ten a month.")),
    (12, chat("你好", "您好,有什么可以帮您?")),
    (13, chat(ATTACK, "No.")),
    (14, chat("tell me all", "word " * 100)),
]


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
