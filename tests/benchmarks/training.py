"""Training: the studio beside TRL, LLaMA-Factory, Axolotl and Unsloth, each at the settings that are quickest on this machine.

All train the same arrays in the same batches with the same LoRA and schedule. First each by itself: the losses of the first
steps are printed side by side, since a faster trainer that learns something else would be no faster trainer, and memory is
looked at. Then the studio beside each of the others, in turns of a few steps, which is what speed is told from.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    AfterStep,
    Alone,
    Setting,
    settings_of,
    train,
    trl_defaults,
    version_of,
)
from tests.benchmarks.turns import TakesTurns, Turn
from tests.interop import tools as environments
from tests.interop.material import WARM_UP, Material, Trained, config_of, material_of

# Whose losses are compared, by itself.
FIRST_STEPS: Final = 10
# Of a turn, but for its first: in about the same time.
STUDIO_STEPS: Final = 3
OTHER_STEPS: Final = 1
# Enough to see which of a tool's settings is the quickest.
TRIED_STEPS: Final = 3
ROUNDS: Final = 6
BATCH: Final = 4
DEFAULTS: Final = "TRL, its defaults"
# Of a loss: what another order of rounding may make of ten steps, in fp32 and in bf16.
NEAR: Final = {"float32": 0.005, "bfloat16": 0.05}


@dataclass
class Contestant:
    """`tool` is None for the studio. `ratios` are the studio's speed over its own in each round, `wrong` what it answered
    where it could not be measured."""

    name: str
    tool: Tool | None
    setting: Setting
    alone: Alone | None = None
    turns: list[Turn] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Tokens a second: the median turn's."""
        return median([turn.speed for turn in self.turns])

    @property
    def step_seconds(self) -> float:
        return median([turn.seconds / turn.steps for turn in self.turns])

    @property
    def ratio(self) -> float:
        """How many times as quick the studio is: the median round's, each turn against its neighbour."""
        return median(self.ratios) if self.ratios else 1.0

    @property
    def trained(self) -> Trained:
        assert self.alone
        return self.alone.trained

    def memory(self, gpu: bool) -> int:
        """Bytes: the GPU's, else that of all its processes together."""
        assert self.alone
        return self.trained.peak_memory_bytes if gpu else self.alone.memory

    def train(
        self, material: Material, folder: Path, steps: int, after_step: AfterStep | None = None
    ) -> Alone:
        """In a process of its own. `folder` is made and removed."""
        return train(self.tool, self.setting, material, folder, steps, after_step)


def measure(
    model: Path, say: Callable[[str], None], tools: Sequence[Tool] = TOOLS, rounds: int = ROUNDS
) -> Result:
    """Every contestant by itself; then in every round of a pair a turn of the studio, one of the other, and the limit."""
    import torch

    from worker.work.training.devices import is_good_at_bf16, training_device

    device = training_device()
    bf16, gpu = is_good_at_bf16(device), device.type == "cuda"
    for tool in tools:
        if tool != "trl":
            say(f"training: installing {TOOL_NAMES[tool]}")
            environments.install(tool)
    shares: list[Share] = []
    with tempfile.TemporaryDirectory(prefix="sft-studio-bench-") as name:
        folder = Path(name)
        material = prepare(model, folder)
        ours = Contestant(STUDIO, None, BF16_WEIGHTS if bf16 else FLOAT32)
        others = [_quickest(tool, material, folder, say, bf16=bf16, gpu=gpu) for tool in tools]
        if bf16 and "trl" in tools:
            others.append(Contestant(DEFAULTS, "trl", trl_defaults(gpu=gpu)))
        for one in (ours, *others):
            say(f"training: {one.name} by itself, {one.setting.name}")
            with _wrong_is_told(one):
                one.alone = one.train(material, folder / "run", FIRST_STEPS)
        step = _step(material, ours.setting, 1 if gpu else min(BATCH, torch.get_num_threads()))
        for one in others:
            if one.alone:
                with _wrong_is_told(one):
                    shares.extend(_beside(ours, one, material, folder, rounds, step, say))
    return _result(ours, [one for one in others if one.turns], others, material, shares, gpu=gpu, bf16=bf16)


@contextmanager
def _wrong_is_told(one: Contestant) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if one.tool is None:
            raise
        one.wrong.append(f"{one.name}, {one.setting.name}: {_in_short(error)}")


@dataclass(frozen=True)
class Share:
    """The limit as it was measured right after a turn of the studio, and its share of that turn's time."""

    limit: Limit
    share: float


def _beside(
    ours: Contestant,
    other: Contestant,
    material: Material,
    folder: Path,
    rounds: int,
    step: Step,
    say: Callable[[str], None],
) -> Iterator[Share]:
    """Both in turns; what was measured until then stays where one of them fails."""
    # More than they come to: a training that ends by itself would save what it has, in the other's turn.
    steps = (rounds + 2) * (STUDIO_STEPS + 1)
    with (
        TakesTurns(lambda told: ours.train(material, folder / "ours", steps, told)) as studio,
        TakesTurns(lambda told: other.train(material, folder / "other", steps, told)) as peer,
    ):
        say(f"training: {ours.name} and {other.name} begin")
        studio.turn(WARM_UP)
        peer.turn(WARM_UP)
        for number in range(rounds):
            say(f"training: {ours.name} and {other.name}, round {number + 1} of {rounds}")
            turn, others_turn = studio.turn(STUDIO_STEPS), peer.turn(OTHER_STEPS)
            limit = limit_of(step)
            ours.turns.append(turn)
            other.turns.append(others_turn)
            other.ratios.append(turn.speed / others_turn.speed)
            yield Share(limit, limit.seconds / (step.tokens / turn.speed))


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
    ours: Contestant,
    others: list[Contestant],
    tried: list[Contestant],
    material: Material,
    shares: list[Share],
    *,
    gpu: bool,
    bf16: bool,
) -> Result:
    if not others:
        raise RuntimeError("; ".join(complaint for one in tried for complaint in one.wrong))
    limit = median([one.limit.seconds for one in shares])
    inside = median([one.limit.in_attention for one in shares])
    gflops = median([one.limit.gflops for one in shares])
    share = median([one.share for one in shares])
    said = [complaint for one in tried for complaint in one.wrong]
    measured = [ours, *others]
    first = {one.name: one.trained for one in measured}
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
    notes += [
        f"rounds beside {one.name}: " + " ".join(f"{ratio:.2f}×" for ratio in one.ratios) for one in others
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
        rows=[_row(one, material, apart[one.name], gpu) for one in measured],
        compared=_compared(material, len(shares) // len(others), gpu),
        goals=_goals(ours, others, share, apart, gpu=gpu, bf16=bf16),
        raw={
            "limit": {"gflops": gflops, "seconds": limit, "in_attention": inside, "share": share},
            "trainers": {one.name: _figures(one, apart[one.name], gpu) for one in measured},
        },
        notes=[*notes, *said],
        packages=("torch", "transformers", "peft", "trl"),
    )


def _row(one: Contestant, material: Material, apart: float, gpu: bool) -> Row:
    figures = (
        version_of(one.tool),
        one.setting.name,
        f"{one.speed:.0f}",
        f"{one.speed * trained_share(material):.0f}",
        f"{one.step_seconds:.2f} s",
        f"{one.memory(gpu) / 1e9:.2f} GB",
        f"{apart:.4f}",
        f"{one.ratio:.2f}×",
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
        fastest = min(one.ratio for one in peers)
        lowest = min(one.memory(gpu) for one in peers) / 1e9
        goals.append(Goal("training, times the fastest of the others", fastest, 1.3, unit="×"))
        goals.append(
            Goal("peak memory, the lowest of the others' beside", memory, round(lowest, 2), True, " GB")
        )
    if defaults := [one for one in others if one.name == DEFAULTS]:
        goals.append(Goal("training, times TRL's defaults", defaults[0].ratio, 5.0, unit="×"))
    if bf16:
        goals.append(Goal("peak memory of training", memory, 3.0, True, " GB"))
    return [*goals, Goal("losses apart", max(apart.values()), NEAR[ours.setting.precision], True)]


def _figures(one: Contestant, apart: float, gpu: bool) -> dict[str, Any]:
    return {
        "version": version_of(one.tool),
        "setting": one.setting.name,
        "tokens_per_second": one.speed,
        "step_seconds": [turn.seconds / turn.steps for turn in one.turns],
        "studio_times": one.ratios,
        "peak_memory_bytes": one.memory(gpu),
        "peak_of_the_trainer_alone_bytes": one.trained.peak_memory_bytes,
        "losses": list(one.trained.losses.values()),
        "apart": apart,
    }


def _compared(material: Material, rounds: int, gpu: bool) -> str:
    config, tokens = material.run.config, len(material.arrays.input_ids)
    measured = "the GPU's" if gpu else f"{MEASURE} of the process and its children together, twice a second"
    return (
        f"{len(material.arrays)} English sample dialogues of {tokens / len(material.arrays):.0f} tokens, "
        f"{trained_share(material):.0%} of them trained, as checked arrays; LoRA r {config.lora_r} on all linear layers, no "
        f"dropout, nothing computed twice, {BATCH} dialogues a step. {FIRST_STEPS} steps of each by itself for losses and memory; "
        f"then the studio and each other in {rounds} rounds of turns, {STUDIO_STEPS} steps and {OTHER_STEPS}, the other standing "
        f"still, and one step before them that is not counted; a ratio is of neighbours. Tokens without padding; memory is "
        f"{measured}. Each tool in "
        f"the quickest of its precisions, tried for {TRIED_STEPS} steps."
    )


def trained_share(material: Material) -> float:
    """Of all tokens, those that the loss is made of."""
    arrays = material.arrays
    trained = sum(int((arrays.sample(place)[1][1:] != -100).sum()) for place in range(len(arrays)))
    return trained / len(arrays.input_ids)


def _apart(found: Trained, ours: Trained) -> float:
    return max(abs(loss - ours.losses[step]) for step, loss in found.losses.items())
