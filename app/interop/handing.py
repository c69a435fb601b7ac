"""A run as another trainer is told of it, and what that trainer does otherwise or cannot do."""

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from app.core.errors import Invalid
from app.interop.launching import MULTI_CPU, Launch
from app.recipes.config import TrainingConfig
from app.recipes.estimates import estimate_steps, warm_up_steps
from app.sentences import N_, Sentence

Tool = Literal["llamafactory", "axolotl", "trl", "unsloth"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
TOOL_NAMES: Final[dict[Tool, str]] = {
    "llamafactory": "LLaMA-Factory",
    "axolotl": "Axolotl",
    "trl": "TRL",
    "unsloth": "Unsloth",
}
# The versions whose option names these are, and with which the files were run.
TOOL_VERSIONS: Final[dict[Tool, str]] = {
    "llamafactory": "0.9.5",
    "axolotl": "0.19.0",
    "trl": "1.16.0",
    "unsloth": "2026.10.9",
}
# In the folder of an export, where the tool is installed.
COMMANDS: Final[dict[Tool, str]] = {
    "llamafactory": "llamafactory-cli train train.yaml",
    # As a module, which finds its plugin in the folder that it is started in.
    "axolotl": "python -m axolotl.cli.main train config.yml --launcher python",
    "trl": "python train.py",
    "unsloth": "python train.py",
}


def command_of(tool: Tool, launch: Launch | None = None) -> str:
    """What starts the tool in the folder of an export, in as many processes as `launch` says."""
    if launch is None:
        return COMMANDS[tool]
    if tool == "llamafactory":
        # What its own command line does with FORCE_TORCHRUN.
        return f"torchrun --standalone --nproc_per_node {launch.num_processes} -m llamafactory.launcher train.yaml"
    if tool == "trl":
        return f"accelerate launch --config_file {launch.name_in_folder} {' '.join(launch.flags)} train.py"
    return COMMANDS[tool]


Precision = Literal["float32", "bfloat16"]

_CANNOT: Final = N_(
    "%(tool)s %(version)s has no option for %(name)s. Export for another tool, or have it left out (otherwise=leave_out)."
)
_CANNOT_HERE: Final = N_(
    "%(tool)s %(version)s has no option for %(name)s. Set it back, or set backend to another that has."
)
_LEFT_OUT: Final = N_("%(name)s is left out: %(tool)s %(version)s has no option for it.")


@dataclass(frozen=True)
class HandedRun:
    """`name` is plain ASCII, `title` for people. `model` is a hub id with the commit `revision`, or a folder.

    `layers`: names by which PEFT finds the layers that the adapter is on, last parts or dotted; None for every linear layer.
    `end_of_turn_id` is the token whose row is trained too. `samples` counts the training split, `held_out` the other, `longest` tokens of
    a sample. `limit` is the number of steps where a time budget allowed only so many. `is_curriculum`: a second dataset
    is trained before the first one. `launch` is what starts the tool's processes; without it, it is one.
    """

    name: str
    title: str
    config: TrainingConfig
    model: str
    samples: int
    held_out: int
    longest: int
    revision: str | None = None
    layers: tuple[str, ...] | None = None
    precision: Precision = "float32"
    end_of_turn_id: int | None = None
    limit: int | None = None
    is_curriculum: bool = False
    launch: Launch | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.limit or estimate_steps(self.samples, self.config).steps

    @property
    def accumulation(self) -> int:
        """Batches that one process adds up for a step; alone, it takes the steps of as many as the run had."""
        return self.config.gradient_accumulation_steps if self.launch else self.config.batches_per_step

    @property
    def on_processors(self) -> bool:
        """Whether its processes have a part of the processor's cores each."""
        return self.launch is not None and self.launch.way == MULTI_CPU

    @property
    def max_steps(self) -> int:
        """The step limit to write; -1 where the epochs decide."""
        return self.limit or self.config.max_steps

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate rises, as the studio counts them."""
        return warm_up_steps(self.config, self.steps)

    @property
    def stops_early(self) -> bool:
        """Whether the held-out loss may end it."""
        return bool(self.held_out and self.config.early_stopping_patience)

    @property
    def trains_end_of_turn(self) -> bool:
        """Whether the row of the end-of-turn token is trained beside the adapter."""
        return (
            self.config.use_peft
            and self.config.trainable_tokens == "end_of_turn"
            and self.end_of_turn_id is not None
        )


@dataclass
class Handing:
    """What becomes of an export while it is written: text files by name, and what is otherwise.

    `as_backend`: the studio starts the tool itself, beside the base model as it lies here.
    """

    tool: Tool
    leave_out: bool = False
    as_backend: bool = False
    files: dict[str, str] = field(default_factory=dict)
    notes: list[Sentence] = field(default_factory=list)

    def note(self, template: str, **values: object) -> None:
        """Say what the tool does otherwise."""
        self.notes.append(Sentence.of(template, **values))

    def cannot(self, config_field: str) -> None:
        """The tool has no option for a field that the run uses. Raises Invalid unless such are to be left out."""
        tool, version = TOOL_NAMES[self.tool], TOOL_VERSIONS[self.tool]
        if not self.leave_out:
            message = _CANNOT_HERE if self.as_backend else _CANNOT
            raise Invalid(message, field=config_field, tool=tool, version=version, name=config_field)
        self.note(_LEFT_OUT, tool=tool, version=version, name=config_field)


@dataclass(frozen=True)
class HandedOver:
    """What was written: `files` by their paths in the folder, how many samples and trained tokens they hold."""

    files: list[str]
    samples: int
    held_out: int
    trained_tokens: int
    notes: list[Sentence]
