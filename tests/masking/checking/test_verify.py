"""The check of a version gives the same report with and without arrays."""

from app.mask_checks.report import MaskReport
from app.masking import (
    ChatTokenizer,
    Handling,
    MaskSettings,
    verify,
    verify_without_arrays,
)
from tests.support.masks import CONVERSATIONS, chat


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
