"""The card of a model says every setting of the mask it was trained under, and reads what earlier programs wrote."""

from typing import Any

from app.exports.card import adapter_style, model_card
from app.mask_settings.fields import MASK_FIELDS, MaskSettingsIn
from app.recipes.config import TrainingConfig
from app.runs.provenance import Provenance
from app.runs.result import RunResult
from tests.worker.conftest import PROVENANCE


def card_of(document: dict[str, Any]) -> str:
    provenance = Provenance.stored(document)
    result = RunResult(
        adapter="adapter",
        adapter_step=4,
        steps=4,
        total_steps=4,
        train_loss=1.0,
        eval_loss=None,
        stopped_early=False,
        stop_reason="finished",
        labels_hash="a" * 64,
        labels_seen=6,
        labels_total=6,
        peak_memory_bytes=None,
    )
    return model_card(provenance, TrainingConfig(), result, adapter_style(provenance))


def test_every_setting_of_the_mask_is_on_the_card() -> None:
    mask = MaskSettingsIn(
        train_on="last_assistant",
        handling="per_turn",
        max_length=512,
        control_tokens="refuse",
        train_reasoning=False,
        template_arguments={"tone": "dry"},
    )
    card = card_of(Provenance.stored(PROVENANCE).model_copy(update={"mask": mask}).to_json())
    for field in MASK_FIELDS:
        for name, value in field.as_fields(mask.to_settings()).items():
            assert f"`{name}={value}`" in card


def test_a_provenance_of_an_earlier_program_keeps_what_it_said_of_the_mask() -> None:
    earlier = {name: value for name, value in PROVENANCE.items() if name != "mask"}
    earlier |= {
        "schema_version": 1,
        "train_on": "all",
        "max_length": 64,
        "template_arguments": {"tone": "dry"},
    }
    card = card_of(earlier)
    assert "`train_on=all`, " in card
    assert "`max_length=64`" in card
    assert "`argument.tone=" in card
    assert Provenance.stored(earlier).template_arguments == {"tone": "dry"}


def test_no_name_that_people_gave_is_read_as_markdown() -> None:
    named = dict.fromkeys(("run", "dataset", "recipe"), "# a_b*c* | <b> [x](y)")
    card = card_of(Provenance.stored(PROVENANCE).model_copy(update=named).to_json())
    for name in named.values():
        assert name not in card
    assert card.count(r"\# a\_b\*c\* \| \<b\> \[x\](y)") == len(named)
