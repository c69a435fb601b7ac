"""What the benchmark changes in an export, and all of it where there is a GPU; elsewhere its figures need minutes."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from app.interop.handing import TOOLS, Tool
from tests.benchmarks.products import Attention, Step, attention_products, operations, products
from tests.benchmarks.trainers import settings_of, trl_defaults
from tests.benchmarks.training import measure
from tests.interop.material import tiny_model
from tests.interop.test_options import handed, known, written

MACHINES = ({"bf16": False, "gpu": False}, {"bf16": True, "gpu": False}, {"bf16": True, "gpu": True})


@pytest.mark.parametrize("tool", TOOLS)
def test_every_setting_names_options_that_the_tool_knows(tool: Tool, tmp_path: Path) -> None:
    defaults = [trl_defaults(gpu=gpu) for gpu in (False, True)] if tool == "trl" else []
    for setting in [one for machine in MACHINES for one in settings_of(tool, **machine)] + defaults:
        for name, text in written(tool, handed(precision=setting.precision)).files.items():
            (tmp_path / name).write_text(text, "utf-8")
        setting.change(tmp_path)
        options = known(tool)
        if tool in ("trl", "unsloth"):
            found = json.loads((tmp_path / "config.json").read_text("utf-8"))["training"]
            assert found.keys() <= set(options["training"]), setting.name
            assert found["bf16"] == ("autocast" in setting.name)
        else:
            file, part = {"axolotl": ("config.yml", "config"), "llamafactory": ("train.yaml", "train")}[tool]
            found = yaml.safe_load((tmp_path / file).read_text("utf-8"))
            assert found.keys() <= set(options[part]), setting.name


def test_a_step_is_counted_as_its_layers_multiply() -> None:
    """Forward and back, without the gradient of frozen weights; an adapter's own; the output layer where it is trained."""
    step = Step("", conversations=4, tokens=20, trained=6, rank=4, lanes=2, precision="float32")
    rows, out, into, vocabulary = 10, 5, 7, 11
    layer = 2 * rows * (2 * out * into + 3 * 4 * (out + into))
    assert (
        operations(products(step, [(out, into)], (vocabulary, into), chunk=2))
        == layer + 4 * 3 * vocabulary * into
    )
    # Six products of two conversations of five tokens, each token with half of them.
    inside = attention_products(step, Attention(layers=3, heads=2, width=4))
    assert operations(inside) == 3 * 2 * 2 * 6 * (2 * 5 * 2 * 4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.timeout(1500)
def test_it_measures_beside_trl_on_a_gpu(tmp_path: Path) -> None:
    result = measure(tiny_model(tmp_path), lambda _text: None, tools=("trl",), rounds=1)
    assert [row.name for row in result.rows] == ["SFT Studio", "TRL", "TRL, its defaults"]
    assert all(figures["peak_memory_bytes"] > 0 for figures in result.raw["trainers"].values())
