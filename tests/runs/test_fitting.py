"""A config fitted to a base model before the start: its layers by their own names, its end-of-turn token trained."""

import pytest

from app.base_models.facts import LayerFacts, ModelFacts
from app.core.errors import Invalid
from app.runs.fitting import fit_config
from tests.support.training import model_facts

FUSED = model_facts(
    layers=[
        LayerFacts(name=f"model.layers.*.{name}", count=2, parameters=64)
        for name in ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
    ]
)


def test_a_recipes_projections_are_found_by_the_models_own_names_and_it_is_said() -> None:
    fitted = fit_config("quick", {}, None, FUSED)
    assert fitted.config.lora_target_modules == ["qkv_proj"]
    assert {tuple(note.values.values()) for note in fitted.notes} == {
        ("q_proj", "qkv_proj"),
        ("v_proj", "qkv_proj"),
    }
    assert fit_config("quick", {}, None, model_facts()).config.lora_target_modules == ["q_proj", "v_proj"]


def test_a_layer_that_the_model_lacks_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(
        Invalid, match=r"no layer w_pack.* qkv_proj, o_proj, gate_up_proj, down_proj"
    ) as refused:
        fit_config("quick", {"lora_target_modules": "w_pack,o_proj"}, None, FUSED)
    assert refused.value.field == "lora_target_modules"
    # Models prepared before layers were noted are left to the trainer.
    asked = {"lora_target_modules": "w_pack"}
    assert fit_config("quick", asked, None, ModelFacts()).config.lora_target_modules == ["w_pack"]


def test_an_end_of_turn_that_was_never_trained_is_trained_unless_told_otherwise() -> None:
    untrained = model_facts(end_of_turn_trained=False)
    fitted = fit_config("quick", {}, None, untrained)
    assert fitted.config.trainable_tokens == "end_of_turn"
    assert (len(fitted.notes), fitted.warnings) == (1, [])
    refused = fit_config("quick", {"trainable_tokens": "none"}, None, untrained)
    assert refused.config.trainable_tokens == "none"
    assert "not going to stop" in refused.warnings[0].template
    assert fit_config("quick", {}, None, model_facts()).config.trainable_tokens == "auto"
    with pytest.raises(Invalid, match="end-of-turn"):
        fit_config("quick", {"trainable_tokens": "end_of_turn"}, None, ModelFacts())
