"""Which layers an adapter goes on, where a model calls them otherwise or holds several in one."""

import pytest

from app.core.errors import Invalid
from app.recipes.layers import fit_layers, kinds_of

PHI3 = ["self_attn.o_proj", "self_attn.qkv_proj", "mlp.gate_up_proj", "mlp.down_proj"]
GPT2 = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
LLAMA = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj"]


def layers(names: list[str]) -> list[str]:
    return [f"model.layers.{number}.{name}" for number in range(12) for name in names]


@pytest.mark.parametrize(
    ("names", "wanted", "taken"),
    [
        (LLAMA, "q_proj v_proj", "q_proj v_proj"),
        (LLAMA, "self_attn.q_proj mlp.up_proj", "self_attn.q_proj mlp.up_proj"),
        (PHI3, "q_proj v_proj", "qkv_proj"),
        (PHI3, "q_proj k_proj v_proj o_proj", "qkv_proj o_proj"),
        (PHI3, "gate_proj up_proj down_proj", "gate_up_proj down_proj"),
        (GPT2, "q_proj v_proj o_proj", "c_attn attn.c_proj"),
        (GPT2, "up_proj down_proj", "c_fc mlp.c_proj"),
        (["attention.query_key_value", "attention.dense"], "k_proj o_proj", "query_key_value dense"),
    ],
)
def test_a_projection_is_found_by_what_the_model_calls_it(names: list[str], wanted: str, taken: str) -> None:
    fitted = fit_layers(wanted.split(), layers(names))
    assert fitted.names == tuple(taken.split())
    assert all(name in fitted.names for name in fitted.mapped.values())
    # Names that were noted without their numbers say the same.
    assert fit_layers(wanted.split(), kinds_of(layers(names))) == fitted


def test_a_projection_that_no_layer_holds_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Invalid, match=r"no layer q_proj.* or of: in_proj, out_proj\.") as refused:
        fit_layers(["in_proj", "q_proj"], layers(["mamba.in_proj", "mamba.out_proj"]))
    assert refused.value.field == "lora_target_modules"
