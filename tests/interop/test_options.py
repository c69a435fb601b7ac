"""Every option in the files is one that the tool knows in the version they are written for, and every field of a run
is in them.
"""

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from app.core.errors import Invalid
from app.interop.arguments import note_what_is_otherwise
from app.interop.handing import TOOL_VERSIONS, TOOLS, HandedRun, Handing, Tool, command_of
from app.interop.launching import own_launch
from app.interop.readme import readme_text
from app.interop.writing import WRITERS
from app.recipes.config import TrainingConfig

HERE = Path(__file__).parent
RUNS = {
    "plain": {},
    "held out": {"held_out": 8},
    "stopped early": {"held_out": 8, "early_stopping_patience": 2},
    "in four bits": {"load_in_4bit": True, "optim": "paged_adamw_8bit", "use_rslora": True},
    "a revision and named layers": {"revision": "a" * 40, "layers": ("q_proj", "v_proj")},
    "the end of turn too": {"trainable_tokens": "end_of_turn", "end_of_turn_id": 2},
    "two processes": {"num_processes": 2, "launch": own_launch(2, on_cpu=True)},
    "Liger's kernels": {"use_liger_kernel": True},
    "every weight": {"use_peft": False, "precision": "bfloat16"},
    "a limit": {"limit": 7, "precision": "bfloat16", "warmup_ratio": 0.5},
}
# What a config decides elsewhere: in `limit`, in `precision`, in `layers`; and where a tool has no option at all.
TOLD_OTHERWISE = {"max_train_minutes", "bf16", "lora_target_modules"}
# Answers on the way, and what is kept after the end, change no number, and are the studio's alone.
TOLD_OTHERWISE |= {"sample_count", "sample_prompts", "keep_checkpoints", "backend"}
# The file is beside the script where the run has one, and no other tool is started with it.
TOLD_OTHERWISE |= {"accelerate_config"}
# What is mixed in is among the samples already; an order of its own is refused where there is any.
TOLD_OTHERWISE |= {"mix_share", "mix_order"}
WITHOUT: dict[Tool, set[str]] = {
    "llamafactory": {"trainable_tokens"},
    "axolotl": set(),
    "trl": set(),
    "unsloth": {"trainable_tokens", "use_dora", "use_liger_kernel"},
}
OTHER_VALUES: dict[str, Any] = {
    "lr_scheduler_type": "linear",
    "optim": "adafactor",
    "trainable_tokens": "end_of_turn",
    "max_steps": 5,
}


def handed(**changes: Any) -> HandedRun:
    fields = {name: changes.pop(name) for name in list(changes) if name in HandedRun.__dataclass_fields__}
    config = TrainingConfig(**{"early_stopping_patience": 0, **changes})
    whole: dict[str, Any] = {"samples": 100, "held_out": 0, "longest": 400, **fields}
    return HandedRun("calls", "Calls of “May”", config, "org/model", **whole)


def written(tool: Tool, run: HandedRun, *, leave_out: bool = True) -> Handing:
    handing = Handing(tool, leave_out)
    WRITERS[tool](run, handing)
    return handing


def known(tool: Tool) -> dict[str, Any]:
    return dict(json.loads((HERE / "options" / f"{tool}.json").read_text("utf-8")))


@pytest.mark.parametrize("changes", RUNS.values(), ids=list(RUNS))
@pytest.mark.parametrize("tool", TOOLS)
def test_the_tool_knows_every_option(tool: Tool, changes: dict[str, Any]) -> None:
    files, names = written(tool, handed(**changes)).files, known(tool)
    if tool == "llamafactory":
        found = {"train": yaml.safe_load(files["train.yaml"])}
    elif tool == "axolotl":
        config = yaml.safe_load(files["config.yml"])
        datasets = [*config["datasets"], *config.get("test_datasets", [])]
        found = {"config": config, "dataset": {name for one in datasets for name in one}}
    else:
        whole = json.loads(files["config.json"])
        found = {part: whole[part] or {} for part in ("training", "lora")}
        if tool == "unsloth":
            called = re.search(r"from_pretrained\((.*?)\n    \)", files["train.py"], re.S)
            assert called
            found["model"] = set(re.findall(r"^ {8}(\w+)=", called[1], re.M))
    assert {part: set(options) - set(names[part]) for part, options in found.items()} == {
        part: set() for part in found
    }


@pytest.mark.parametrize("tool", TOOLS)
def test_versions_are_those_that_are_installed_for_the_proof(tool: Tool) -> None:
    assert known(tool)["version"] == TOOL_VERSIONS[tool]
    pins = HERE.parents[1] / "constraints.txt" if tool == "trl" else HERE / "requirements" / f"{tool}.txt"
    assert f"{tool}=={TOOL_VERSIONS[tool]}" in pins.read_text("utf-8").splitlines()


@pytest.mark.parametrize("tool", TOOLS)
def test_every_field_of_the_config_is_in_the_files_or_refused(tool: Tool) -> None:
    """A field that is added to the config fails here until each tool is told of it."""
    rest = {"held_out": 8, "end_of_turn_id": 2, "early_stopping_patience": 3, "eval_steps": 10}
    unheard = set()
    for name in TrainingConfig.model_fields.keys() - TOLD_OTHERWISE:
        changes = {**rest, name: _another(name)}
        if name == "save_steps":  # decides nothing where the best is kept, which is saved when it is measured
            changes["early_stopping_patience"] = 0
        reference = {**changes, name: getattr(TrainingConfig(), name)}
        if written(tool, handed(**changes)).files == written(tool, handed(**reference)).files:
            unheard.add(name)
    assert unheard == WITHOUT[tool]


def _another(name: str) -> Any:
    value = getattr(TrainingConfig(), name)
    if name in OTHER_VALUES:
        return OTHER_VALUES[name]
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value / 2 or 1.0


@pytest.mark.parametrize(
    ("tool", "field"), [(tool, name) for tool in TOOLS for name in sorted(WITHOUT[tool])]
)
def test_what_a_tool_cannot_do_is_refused_by_name_or_left_out_and_said(tool: Tool, field: str) -> None:
    run = handed(**(RUNS["the end of turn too"] if field == "trainable_tokens" else {field: True}))
    with pytest.raises(Invalid) as refused:
        written(tool, run, leave_out=False)
    assert refused.value.field == field
    assert any(field in note.english() for note in written(tool, run).notes)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_weight_is_trained_with_no_word_of_an_adapter(tool: Tool) -> None:
    run = handed(use_peft=False, precision="bfloat16", trainable_tokens="end_of_turn", end_of_turn_id=2)
    found = written(tool, run, leave_out=False)
    assert not re.search("lora|dora|trainable_token_indices", " ".join(_options(tool, found)))
    # TRL alone is told to keep weights in float32 and to compute in bf16; in the others one goes with the other.
    assert ("float32" in " ".join(note.english() for note in found.notes)) == (tool != "trl")


def _options(tool: Tool, found: Handing) -> list[str]:
    """Names of options with a value, as the tool is given them."""
    if tool in ("trl", "unsloth"):
        config = json.loads(found.files["config.json"])
        whole = {**config, **config["training"]}
    else:
        whole = yaml.safe_load(found.files["train.yaml" if tool == "llamafactory" else "config.yml"])
    return [name for name, value in whole.items() if value not in (None, False)]


def test_a_title_cannot_end_the_comment_it_stands_in() -> None:
    run = handed()
    title = "Calls\nmax_steps: 1 # "
    found = written("axolotl", HandedRun(**{**run.__dict__, "title": title})).files["config.yml"]
    assert found.splitlines()[0].startswith("# ")
    assert "max_steps" not in yaml.safe_load(found)


def test_axolotl_draws_an_adapters_first_weights_by_the_runs_seed_for_which_it_is_given_a_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sets the seed only after they are drawn, so each start drew others. The plugin lies where it is started."""
    kernels = handed(use_liger_kernel=True)
    files = written("axolotl", kernels).files
    (named, liger) = yaml.safe_load(files["config.yml"])["plugins"]
    assert liger.endswith("LigerPlugin")
    assert command_of("axolotl").startswith("python -m ")
    module, name = named.split(".")
    (tmp_path / f"{module}.py").write_text(files[f"{module}.py"], "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for package in ("axolotl", "axolotl.integrations"):
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    base = ModuleType("axolotl.integrations.base")
    monkeypatch.setattr(base, "BasePlugin", object, raising=False)
    monkeypatch.setitem(sys.modules, base.__name__, base)
    plugin = getattr(importlib.import_module(module), name)()
    monkeypatch.delitem(sys.modules, module)
    torch.manual_seed(1)
    plugin.pre_lora_load(SimpleNamespace(seed=7), None)
    drawn = torch.rand(3)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(7)))
    whole = written("axolotl", handed(use_peft=False)).files
    assert set(whole) == {"config.yml"}
    assert "plugins" not in yaml.safe_load(whole["config.yml"])


def test_axolotls_two_steps_of_one_warm_up_step_are_said() -> None:
    def notes(steps: int) -> str:
        run = handed(warmup_steps=steps)
        return " ".join(note.english() for note in written("axolotl", run).notes)

    assert "two warm-up steps of one" in notes(1)
    assert "warm-up" not in notes(2)


@pytest.mark.parametrize("tool", TOOLS)
def test_weights_in_4_bits_stay_trainable_without_a_gpu_or_that_is_said(tool: Tool) -> None:
    run = handed(load_in_4bit=True, held_out=8)
    found = written(tool, run)
    note_what_is_otherwise(run, found)
    said = "with a GPU" in " ".join(note.english() for note in found.notes)
    scripted = "support_avx512bf16_for_cpu = False" in found.files.get("train.py", "")
    assert said != scripted


def test_processes_take_their_share_of_a_step_where_they_are_started_and_all_of_it_where_one_stands_for_them() -> (
    None
):
    run = handed(num_processes=2, gradient_accumulation_steps=3)
    started = handed(num_processes=2, gradient_accumulation_steps=3, launch=own_launch(2, on_cpu=True))
    alone = json.loads(written("trl", run).files["config.json"])["training"]
    shared = written("trl", started)
    both = json.loads(shared.files["config.json"])["training"]
    assert (alone["gradient_accumulation_steps"], both["gradient_accumulation_steps"]) == (6, 3)
    assert ("use_cpu" in alone, both["use_cpu"]) == (False, True)
    assert yaml.safe_load(shared.files["accelerate.yaml"])["num_processes"] == 2
    assert "accelerate launch --config_file accelerate.yaml" in readme_text(started, shared, 9)
    note_what_is_otherwise(started, shared)
    assert any("2 processes" in note.english() for note in shared.notes)


def test_llamafactory_is_started_in_as_many_processes_as_its_own_command_would_with_force_torchrun() -> None:
    started = handed(num_processes=2, gradient_accumulation_steps=3, launch=own_launch(2, on_cpu=True))
    shared = written("llamafactory", started)
    options = yaml.safe_load(shared.files["train.yaml"])
    assert (options["gradient_accumulation_steps"], options["use_cpu"]) == (3, True)
    assert "--nproc_per_node 2 -m llamafactory.launcher train.yaml" in readme_text(started, shared, 9)
    on_gpus = handed(num_processes=2, launch=own_launch(2, on_cpu=False))
    assert "use_cpu" not in yaml.safe_load(written("llamafactory", on_gpus).files["train.yaml"])
