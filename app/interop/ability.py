"""What another trainer cannot do when the studio starts it: each refused by the field that asks for it."""

from typing import Final

from app.core.errors import Invalid
from app.interop.handing import TOOL_NAMES, HandedRun, Handing, Tool
from app.interop.launching import FIELD, ON_PROCESSORS, Launch
from app.interop.writing import WRITERS
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.recipes.mixing import CURRICULUM
from app.sentences import N_

# Only these compute in bf16 on a processor as they are told to: for an adapter, and for every weight.
_HALF_ON_CPU: Final[frozenset[Tool]] = frozenset({"trl", "llamafactory"})
_WHOLE_HALF_ON_CPU: Final[frozenset[Tool]] = frozenset({"trl"})
# Those that were seen to train in several processes what one trains.
_IN_SEVERAL: Final[tuple[Tool, ...]] = ("trl", "llamafactory")
_NO_BUDGET: Final = N_(
    "%(tool)s does not plan its steps for a time budget: set max_train_minutes to 0, or backend to studio."
)
_NO_COUNT: Final = N_(
    "%(tool)s answers no prompts while it trains: set sample_count to 0, or backend to studio."
)
_NO_PROMPTS: Final = N_(
    "%(tool)s answers no prompts while it trains: leave sample_prompts empty, or set backend to studio."
)
_NO_ORDER: Final = N_("%(tool)s shuffles all samples together: set mix_order to mixed, or backend to studio.")
_NO_CHECKPOINTS: Final = N_(
    "The checkpoints of %(tool)s are its own and are removed when it ends: set keep_checkpoints to best_and_last or none, or "
    "backend to studio."
)
_NO_FOUR_BITS: Final = N_(
    "Without a GPU %(tool)s does not train on a model in 4 bits: set load_in_4bit to false, or backend to studio."
)
_NO_LIGER: Final = N_(
    "Without a GPU %(tool)s cannot train on Liger's kernels, and no other backend can: set use_liger_kernel to false."
)
_LIGER_MISSING: Final = N_(
    "use_liger_kernel needs the package liger-kernel where %(tool)s is installed (backend): install it there, or set "
    "use_liger_kernel to false."
)
_NO_PROCESSES: Final = N_(
    "%(tool)s is started as one process: set num_processes to 1, or backend to one of: %(others)s."
)
_ON_GPUS_ALONE: Final = N_(
    "%(tool)s puts the weights of each of several processes on a GPU of its own, which was not seen to train the checked tokens: "
    "set num_processes to 1, or backend to one of: %(others)s."
)
_NO_LAUNCH: Final = N_(
    "%(tool)s is not started by accelerate: leave accelerate_config empty, or set backend to trl."
)
_OTHER_NUMBER: Final = N_(
    "num_processes is %(asked)d, and %(name)s starts %(found)d processes: leave num_processes out, or set it to the same."
)
_NO_GPUS: Final = N_(
    "accelerate_config: %(name)s asks for GPUs (distributed_type is %(way)s), and there are none here, where accelerate would go "
    "on without splitting anything. On processors it knows MULTI_CPU and DEEPSPEED."
)
_NO_DEEPSPEED: Final = N_(
    "accelerate_config: %(name)s asks for DeepSpeed, which is not installed where %(tool)s is. Install it there, or take a file "
    "with another distributed_type."
)
_NO_SPLIT_BITS: Final = N_(
    "A model in 4 bits is not split over devices here: set load_in_4bit to false, or take a file with distributed_type MULTI_GPU."
)
_NO_HALF: Final = N_(
    "Without a GPU %(tool)s computes in float32: set bf16 to auto or false, or backend to studio."
)


def require_able(
    config: TrainingConfig,
    tool: Tool,
    *,
    on_cpu: bool,
    end_of_turn_id: int | None,
    launch: Launch | None = None,
) -> None:
    """Raises Invalid, naming the field, where the tool has no way to train what `config` says, started as `launch` says."""
    name = TOOL_NAMES[tool]
    able_of_half = _HALF_ON_CPU if config.use_peft else _WHOLE_HALF_ON_CPU
    half = on_cpu and config.bf16 is True and tool not in able_of_half
    wrong = [
        (config.max_train_minutes > 0, Invalid(_NO_BUDGET, field="max_train_minutes", tool=name)),
        (config.sample_count > 0, Invalid(_NO_COUNT, field="sample_count", tool=name)),
        (config.keep_checkpoints == "all", Invalid(_NO_CHECKPOINTS, field="keep_checkpoints", tool=name)),
        (bool(config.sample_prompts), Invalid(_NO_PROMPTS, field="sample_prompts", tool=name)),
        (config.mix_order == CURRICULUM, Invalid(_NO_ORDER, field="mix_order", tool=name)),
        (on_cpu and config.load_in_4bit, Invalid(_NO_FOUR_BITS, field="load_in_4bit", tool=name)),
        (on_cpu and config.use_liger_kernel, Invalid(_NO_LIGER, field="use_liger_kernel", tool=name)),
        (bool(config.accelerate_config) and tool != "trl", Invalid(_NO_LAUNCH, field=FIELD, tool=name)),
        (
            config.num_processes > 1 and tool not in _IN_SEVERAL,
            Invalid(
                _ON_GPUS_ALONE if tool == "axolotl" else _NO_PROCESSES,
                field="num_processes",
                tool=name,
                others=", ".join((STUDIO, *_IN_SEVERAL)),
            ),
        ),
        (half, Invalid(_NO_HALF, field="bf16", tool=name)),
    ]
    for is_wrong, refused in wrong:
        if is_wrong:
            raise refused
    if launch is not None:
        _require_launchable(config, launch, on_cpu=on_cpu)
    # What the tool itself has no option for, its writer knows; the numbers of the run do not matter to that.
    run = HandedRun("run", "run", config, "model", 1, 1, 1, end_of_turn_id=end_of_turn_id)
    WRITERS[tool](run, Handing(tool, as_backend=True))


def _require_launchable(config: TrainingConfig, launch: Launch, *, on_cpu: bool) -> None:
    if config.num_processes != launch.num_processes:
        asked, found = config.num_processes, launch.num_processes
        raise Invalid(_OTHER_NUMBER, field="num_processes", asked=asked, found=found, name=launch.name)
    if on_cpu and launch.way not in ON_PROCESSORS:
        raise Invalid(_NO_GPUS, field=FIELD, name=launch.name, way=launch.way)
    if launch.is_split and config.load_in_4bit:
        raise Invalid(_NO_SPLIT_BITS, field="load_in_4bit")
    launch.require_same_steps(config)


def require_installed(launch: Launch, tool: Tool, *, has_deepspeed: bool) -> None:
    """Raises Invalid naming `accelerate_config` where the tool's environment lacks what the file asks for."""
    if launch.way == "DEEPSPEED" and not has_deepspeed:
        raise Invalid(_NO_DEEPSPEED, field=FIELD, name=launch.name, tool=TOOL_NAMES[tool])


def require_liger_installed(config: TrainingConfig, tool: Tool, *, has_liger: bool) -> None:
    """Raises Invalid naming `use_liger_kernel` where the tool's environment has no such kernels."""
    if config.use_liger_kernel and not has_liger:
        raise Invalid(_LIGER_MISSING, field="use_liger_kernel", tool=TOOL_NAMES[tool])
