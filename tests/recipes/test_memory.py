"""The estimate of memory beside the peaks that real runs had: over methods, batches and lengths, within 15 %."""

import pytest

from app.recipes.memory import Work, estimate_memory
from app.recipes.recipes import build_config
from tests.recipes.peaks import CLOSE_ENOUGH, Peak, noted

FACTS, PEAKS = noted()


@pytest.mark.parametrize("peak", PEAKS, ids=lambda peak: peak.name)
def test_the_expected_memory_is_near_the_peak_that_was_measured(peak: Peak) -> None:
    config = build_config("standard", peak.changes)
    work = Work(peak.batch * peak.length, peak.length, peak.cores, peak.length)
    expected = estimate_memory(FACTS, config, work, half=config.bf16 is True)
    assert expected == pytest.approx(peak.measured, rel=CLOSE_ENOUGH)


def test_every_method_was_measured_with_one_sample_at_once_and_with_several() -> None:
    found = {(build_config("standard", peak.changes).method.value, peak.batch) for peak in PEAKS}
    assert {(method, batch) for method in ("lora", "qlora", "full") for batch in (1, 4)} <= found
    assert {peak.batch for peak in PEAKS if peak.changes.get("use_dora")} == {1, 4}


def test_bf16_recomputation_several_processes_and_large_batches_were_measured() -> None:
    found = [(build_config("standard", peak.changes), peak) for peak in PEAKS]
    half = [config for config, _peak in found if config.bf16 is True]
    assert {config.method.value for config in half} == {"lora", "qlora", "full"}
    assert (
        {config.gradient_checkpointing for config in half}
        == {config.use_dora for config in half}
        == {False, True}
    )
    assert {config.method.value for config, _peak in found if config.gradient_checkpointing} >= {
        "lora",
        "full",
    }
    assert {peak.length for config, peak in found if config.num_processes == 2} >= {64, 256}
    assert max(peak.batch for peak in PEAKS) >= 8


def test_what_is_tried_first_counts_where_samples_are_alike_and_long() -> None:
    config = build_config("standard", {"per_device_train_batch_size": 1})
    alike, apart = (
        estimate_memory(FACTS, config, Work(1024, 1024, 2, shortest), half=False) for shortest in (1024, 16)
    )
    assert alike is not None
    assert apart is not None
    assert alike > 1.2 * apart
