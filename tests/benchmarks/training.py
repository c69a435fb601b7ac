"""Training: the studio beside TRL, LLaMA-Factory, Axolotl and Unsloth, each at the settings that are quickest on this machine.

All train the same arrays in the same batches with the same LoRA and schedule, one after another in every round. The losses
of the first steps are printed side by side: a faster trainer that learns something else would be no faster trainer.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.interop.handing import TOOL_NAMES, TOOLS, Tool
from app.masking import ArraysBuilder, ChatTokenizer, MaskSettings, mask_conversations
from tests.benchmarks.dialogues import sample_dialogues
from tests.benchmarks.measuring import Goal, Result, Row, median
from tests.benchmarks.memory_of import MEASURE
from tests.benchmarks.products import Limit, Step, limit_of
from tests.benchmarks.trainers import (
    BF16_WEIGHTS,
    FLOAT32,
    STUDIO,
    Round,
    Setting,
    settings_of,
    train,
    trl_defaults,
    version_of,
)
from tests.interop import tools as environments
from tests.interop.material import WARM_UP, Material, Trained, config_of, material_of

# Losses are compared in the first round, which also measures speed; the others only measure.
FIRST_STEPS: Final = 10
STEPS: Final = 5
# Enough to see which of a tool's settings is the quickest.
TRIED_STEPS: Final = 3
ROUNDS: Final = 2
BATCH: Final = 4
DEFAULTS: Final = "TRL, its defaults"
# Of a loss: what another order of rounding may make of ten steps, in fp32 and in bf16.
NEAR: Final = {"float32": 0.005, "bfloat16": 0.05}


@dataclass
class Contestant:
    """`tool` is None for the studio. `wrong` is what it answered where it could not be measured."""

    name: str
    tool: Tool | None
    setting: Setting
    rounds: list[Round] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Tokens a second: the median step of all rounds."""
        return median([speed for one in self.rounds for speed in one.trained.speeds()[WARM_UP:]])

    @property
    def step_seconds(self) -> float:
        return median([seconds for one in self.rounds for seconds in one.trained.seconds[WARM_UP:]])

    def memory(self, gpu: bool) -> int:
        """Bytes: the GPU's, else that of all its processes together."""
        return max(one.trained.peak_memory_bytes if gpu else one.memory for one in self.rounds)


def measure(
    model: Path, say: Callable[[str], None], tools: Sequence[Tool] = TOOLS, rounds: int = ROUNDS
) -> Result:
    """Every contestant once a round, and the limit beside them."""
    import torch

    from worker.work.training.devices import is_good_at_bf16, training_device

    device = training_device()
    bf16, gpu = is_good_at_bf16(device), device.type == "cuda"
    for tool in tools:
        if tool != "trl":
            say(f"training: installing {TOOL_NAMES[tool]}")
            environments.install(tool)
    limits = []
    with tempfile.TemporaryDirectory(prefix="sft-studio-bench-") as name:
        folder = Path(name)
        material = prepare(model, folder)
        contestants = [Contestant(STUDIO, None, BF16_WEIGHTS if bf16 else FLOAT32)]
        contestants += [_quickest(tool, material, folder, say, bf16=bf16, gpu=gpu) for tool in tools]
        if bf16 and "trl" in tools:
            contestants.append(Contestant(DEFAULTS, "trl", trl_defaults(gpu=gpu)))
        step = _step(material, contestants[0].setting, 1 if gpu else min(BATCH, torch.get_num_threads()))
        for number in range(rounds):
            limits.append(limit_of(step))
            for one in contestants:
                say(f"training: round {number + 1} of {rounds}, {one.name}, {one.setting.name}")
                steps = STEPS if number else FIRST_STEPS
                try:
                    one.rounds.append(train(one.tool, one.setting, material, folder / "run", steps))
                except Exception as error:
                    if one.tool is None:
                        raise
                    one.wrong.append(f"{one.name}, {one.setting.name}: {_in_short(error)}")
    return _result(contestants, material, limits, gpu=gpu, bf16=bf16)


def prepare(model: Path, folder: Path) -> Material:
    """Masks of the sample dialogues, none held out."""
    builder = ArraysBuilder(MaskSettings(), "benchmark")
    tokenizer = ChatTokenizer.from_folder(model, trusted=True)
    for masked in mask_conversations(tokenizer, enumerate(sample_dialogues()), MaskSettings()):
        for sample in masked.samples:
            builder.add(masked.conversation_id, sample.input_ids, sample.labels)
    config = config_of(per_device_train_batch_size=BATCH, eval_steps=1000, max_steps=FIRST_STEPS)
    return material_of(model, folder, config, builder.finish())


def _quickest(
    tool: Tool, material: Material, folder: Path, say: Callable[[str], None], *, bf16: bool, gpu: bool
) -> Contestant:
    """The tool at the setting that took the least time for a few steps, of those that work."""
    settings = settings_of(tool, bf16=bf16, gpu=gpu)
    if len(settings) == 1:
        return Contestant(TOOL_NAMES[tool], tool, settings[0])
    one = Contestant(TOOL_NAMES[tool], tool, settings[0])
    seconds: dict[Setting, float] = {}
    for setting in settings:
        say(f"training: trying {TOOL_NAMES[tool]}, {setting.name}")
        try:
            tried = train(tool, setting, material, folder / "tried", TRIED_STEPS)
        except Exception as error:  # noqa: BLE001 - whatever a tool says to a setting, there may be another
            one.wrong.append(f"{one.name}, {setting.name}: {_in_short(error)}")
        else:
            seconds[setting] = min(tried.trained.seconds[1:])
    one.setting = min(seconds, key=lambda setting: seconds[setting]) if seconds else FLOAT32
    return one


def _in_short(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def _step(material: Material, setting: Setting, lanes: int) -> Step:
    """What a step of the studio multiplies: the mean batch."""
    tokens = len(material.arrays.input_ids) * BATCH / len(material.arrays)
    return Step(
        model=material.run.model,
        conversations=BATCH,
        tokens=round(tokens),
        trained=round(tokens * trained_share(material)),
        rank=material.run.config.lora_r,
        lanes=lanes,
        precision=setting.precision,
    )


def _result(
    contestants: list[Contestant], material: Material, limits: list[Limit], *, gpu: bool, bf16: bool
) -> Result:
    ours, others = contestants[0], [one for one in contestants[1:] if one.rounds]
    limit = median([one.seconds for one in limits])
    inside, gflops = median([one.in_attention for one in limits]), median([one.gflops for one in limits])
    share = limit / ours.step_seconds
    said = [complaint for one in contestants for complaint in one.wrong]
    measured = [ours, *others]
    first = {one.name: one.rounds[0].trained for one in measured}
    apart = {name: _apart(found, first[STUDIO]) for name, found in first.items()}
    said += [
        f"{name} trained other tokens"
        for name, found in first.items()
        if found.batches[:FIRST_STEPS] != first[STUDIO].batches[:FIRST_STEPS]
    ]
    notes = [
        f"loss, step 1 to {FIRST_STEPS} · {name}: "
        + " ".join(f"{loss:.3f}" for loss in found.losses.values())
        for name, found in first.items()
    ]
    notes.append(
        f"limit: {gflops:.0f} GFLOP/s of plain products of these shapes in {ours.setting.precision}, {limit:.2f} s a step, "
        f"{inside:.2f} s of them inside attention, where the studio takes {ours.step_seconds:.2f} s: {share:.0%}"
    )
    return Result(
        name="training",
        columns=(
            "",
            "version",
            "computes in",
            "tokens/s",
            "trained/s",
            "step",
            "peak memory",
            "loss apart",
            "studio",
        ),
        rows=[_row(one, ours, material, apart[one.name], gpu) for one in measured],
        compared=_compared(material, ours, gpu),
        goals=_goals(ours, others, share, apart, gpu=gpu, bf16=bf16),
        raw={
            "limit": {"gflops": gflops, "seconds": limit, "in_attention": inside, "share": share},
            "trainers": {one.name: _figures(one, apart[one.name], gpu) for one in measured},
        },
        notes=[*notes, *said],
        packages=("torch", "transformers", "peft", "trl"),
    )


def _row(one: Contestant, ours: Contestant, material: Material, apart: float, gpu: bool) -> Row:
    figures = (
        version_of(one.tool),
        one.setting.name,
        f"{one.speed:.0f}",
        f"{one.speed * trained_share(material):.0f}",
        f"{one.step_seconds:.2f} s",
        f"{one.memory(gpu) / 1e9:.2f} GB",
        f"{apart:.4f}",
        f"{ours.speed / one.speed:.2f}×",
    )
    return Row(one.name, figures)


def _goals(
    ours: Contestant,
    others: list[Contestant],
    share: float,
    apart: dict[str, float],
    *,
    gpu: bool,
    bf16: bool,
) -> list[Goal]:
    goals = [Goal("training, of the limit of its products", share, 0.9)]
    peers = [one for one in others if one.name != DEFAULTS]
    memory = ours.memory(gpu) / 1e9
    if peers:
        fastest = max(one.speed for one in peers)
        lowest = min(one.memory(gpu) for one in peers) / 1e9
        goals.append(Goal("training, times the fastest of the others", ours.speed / fastest, 1.3, unit="×"))
        goals.append(
            Goal("peak memory, the lowest of the others' beside", memory, round(lowest, 2), True, " GB")
        )
    if defaults := [one for one in others if one.name == DEFAULTS]:
        goals.append(Goal("training, times TRL's defaults", ours.speed / defaults[0].speed, 5.0, unit="×"))
    if bf16:
        goals.append(Goal("peak memory of training", memory, 3.0, True, " GB"))
    return [*goals, Goal("losses apart", max(apart.values()), NEAR[ours.setting.precision], True)]


def _figures(one: Contestant, apart: float, gpu: bool) -> dict[str, Any]:
    return {
        "version": version_of(one.tool),
        "setting": one.setting.name,
        "tokens_per_second": one.speed,
        "step_seconds": [found.trained.seconds[1:] for found in one.rounds],
        "peak_memory_bytes": one.memory(gpu),
        "peak_of_the_trainer_alone_bytes": max(found.trained.peak_memory_bytes for found in one.rounds),
        "losses": list(one.rounds[0].trained.losses.values()),
        "apart": apart,
    }


def _compared(material: Material, ours: Contestant, gpu: bool) -> str:
    config, tokens = material.run.config, len(material.arrays.input_ids)
    measured = "the GPU's" if gpu else f"{MEASURE} of the process and its children together, twice a second"
    return (
        f"{len(material.arrays)} English sample dialogues of {tokens / len(material.arrays):.0f} tokens, "
        f"{trained_share(material):.0%} of them trained, as checked arrays; LoRA r {config.lora_r} on all linear layers, no "
        f"dropout, nothing computed twice, {BATCH} dialogues a step. {len(ours.rounds)} rounds in turn, {FIRST_STEPS} steps in "
        f"the first, else {STEPS}, the first {WARM_UP} not counted; tokens without padding; memory is {measured}. Each tool in "
        f"the quickest of its precisions, tried for {TRIED_STEPS} steps."
    )


def trained_share(material: Material) -> float:
    """Of all tokens, those that the loss is made of."""
    arrays = material.arrays
    trained = sum(int((arrays.sample(place)[1][1:] != -100).sum()) for place in range(len(arrays)))
    return trained / len(arrays.input_ids)


def _apart(found: Trained, ours: Trained) -> float:
    return max(abs(loss - ours.losses[step]) for step, loss in found.losses.items())
