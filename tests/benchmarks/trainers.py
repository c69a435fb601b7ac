"""The trainers that the training benchmark compares: the studio, and each tool at the settings that are quick on a machine.

A tool trains the export that anybody gets (`app/interop`), changed where another setting is quicker; none gets other tokens.
"""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from app.interop.handing import COMMANDS, TOOL_VERSIONS, Precision, Tool
from app.interop.writing import hand_over
from tests.benchmarks.memory_of import Peak, peak_of_children
from tests.interop import tools
from tests.interop.material import Material, Trained, train_in_the_studio

STUDIO: Final = "SFT Studio"
AfterStep = Callable[[Trained], None]


@dataclass(frozen=True)
class Setting:
    """`precision` is what the tool is told of the run, `change` what is written otherwise in its folder."""

    name: str
    precision: Precision
    change: Callable[[Path], None]


@dataclass
class Alone:
    """One training by itself: what its process told, and at the highest the memory of it and its children, in bytes."""

    trained: Trained
    memory: int
    processes: int


def _nothing(_folder: Path) -> None:
    """An export as it stands."""


def in_json(**changes: Any) -> Callable[[Path], None]:
    """Other training arguments in the JSON beside a script."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text("utf-8"))
        config["training"] |= changes
        path.write_text(json.dumps(config), "utf-8")

    return change


def in_yaml(name: str, **changes: Any) -> Callable[[Path], None]:
    """Other values of top-level keys in a YAML; a key without a value goes, so that the tool decides."""

    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text("utf-8")
        for key, value in changes.items():
            text = re.sub(rf"^{key}:.*\n", "", text, flags=re.MULTILINE)
            if value is not None:
                text += f"{key}: {json.dumps(value)}\n"
        path.write_text(text, "utf-8")

    return change


FLOAT32: Final = Setting("float32", "float32", _nothing)
BF16_WEIGHTS: Final = Setting("bf16 weights", "bfloat16", _nothing)
# A tool's own kernels, which it switches on by itself where they can run and which an export switches off.
_KERNELS: Final = dict.fromkeys(("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel"))


def settings_of(tool: Tool, *, bf16: bool, gpu: bool) -> list[Setting]:
    """What is to be tried, the quickest is taken. float32 where the machine has no units for bf16."""
    # Axolotl has no way to tell transformers that there is no GPU, which refuses bf16 then.
    if not bf16 or (tool == "axolotl" and not gpu):
        return [FLOAT32]
    # transformers computes in bf16 without a GPU only where it is told that there is none.
    on, kernels = {"bf16": True, **({} if gpu else {"use_cpu": True})}, _KERNELS if gpu else {}
    autocast: dict[Tool, Callable[[Path], None]] = {
        "trl": in_json(**on),
        "unsloth": in_json(**on),
        "llamafactory": in_yaml("train.yaml", **on),
        "axolotl": in_yaml("config.yml", bf16=True, **kernels),
    }
    whole: dict[Tool, Callable[[Path], None]] = {
        "axolotl": in_yaml("config.yml", bf16=None, bfloat16=True, **kernels),
    }
    return [
        replace(BF16_WEIGHTS, change=whole.get(tool, _nothing)),
        Setting("bf16 by autocast", "float32", autocast[tool]),
    ]


def trl_defaults(*, gpu: bool) -> Setting:
    """What TRL does where nobody says otherwise: autocast on float32 weights, and every activation computed twice."""
    more = {} if gpu else {"use_cpu": True}
    return Setting("bf16 by autocast", "float32", in_json(bf16=True, gradient_checkpointing=True, **more))


def train(
    tool: Tool | None,
    setting: Setting,
    material: Material,
    folder: Path,
    steps: int,
    after_step: AfterStep | None = None,
) -> Alone:
    """So many steps in a process of its own; None for `tool` is the studio. `folder` is made and removed. Who asks to be told `after_step`
    measures time: then nobody looks at memory, which takes some of a core.
    """
    folder.mkdir()
    config = material.run.config.model_copy(
        update={"max_steps": steps, "save_steps": steps, "bf16": setting.precision == "bfloat16"}
    )
    run = replace(
        material.run, config=config, model=str(_model(material, setting, folder)), precision=setting.precision
    )
    material = replace(material, run=run)
    try:
        with nullcontext(Peak()) if after_step else peak_of_children() as peak:
            told = after_step or (lambda _trained: None)
            trained = (
                train_in_the_studio(material, folder / "studio", told)
                if tool is None
                else _train_there(tool, setting, material, folder, told)
            )
    finally:
        shutil.rmtree(folder)
    if len(trained.losses) != steps:
        raise RuntimeError(f"{len(trained.losses)} of {steps} steps were told")
    return Alone(trained, peak.bytes, peak.processes)


def version_of(tool: Tool | None) -> str:
    return "" if tool is None else TOOL_VERSIONS[tool]


def _train_there(
    tool: Tool, setting: Setting, material: Material, folder: Path, after_step: AfterStep
) -> Trained:
    place = folder / tool
    place.mkdir()
    hand_over(tool, material.run, material.arrays, place)
    setting.change(place)
    return tools.train(tool, COMMANDS[tool], place, after_step)


def _model(material: Material, setting: Setting, folder: Path) -> Path:
    """The model in links, its config with the precision: LLaMA-Factory loads weights in what that says."""
    place, own = folder / "model", Path(material.run.model)
    place.mkdir()
    for path in own.iterdir():
        if path.name != "config.json":
            (place / path.name).symlink_to(path.resolve())
    config = json.loads((own / "config.json").read_text("utf-8"))
    config.pop("torch_dtype", None)
    (place / "config.json").write_text(json.dumps({**config, "dtype": setting.precision}), "utf-8")
    return place
