"""What to set for these data and this choice, computed and not looked up by anybody: each with its why and its rule.

Where rules of thumb contradict each other, the rule that is followed is the one that looks at more: epochs by the size of
the data and not one number for all, learning rates by the method and the batch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.recipes.estimates import Estimate
from app.recipes.fields import display
from app.recipes.memory import shares_out_samples
from app.recipes.method import Method
from app.sentences import N_, Sentence

# A curve with fewer points than this says nothing.
_MIN_POINTS: Final = 10
# The batch that the learning rates below are for.
_BASE_BATCH: Final = 16
_SMALL: Final = 1_000
_PATIENCE_OF_FEW: Final = 3


class Task(StrEnum):
    """What the model is to learn, for which an adapter needs more or less room."""

    FORMAT = "format"
    DOMAIN = "domain"
    COMPLEX = "complex"

    @property
    def words(self) -> str:
        """A message to translate."""
        return _TASKS[self]


_TASKS: Final = {
    Task.FORMAT: N_("A format or a tone"),
    Task.DOMAIN: N_("A domain: its facts and its way to talk"),
    Task.COMPLEX: N_("Something complex: thinking, tools, several languages"),
}
_RANKS: Final = {Task.FORMAT: (8, 16), Task.DOMAIN: (32, 64), Task.COMPLEX: (128, 256)}
# Up to so many conversations: epochs from, to.
_EPOCHS: Final = ((_SMALL - 1, 5, 10), (10_000, 2, 5), (100_000, 1, 3), (math.inf, 1, 2))
_DROPOUT: Final = ((_SMALL - 1, 0.1), (10_000, 0.05), (math.inf, 0.0))
# Lowest, highest, and the one to begin with.
_LEARNING_RATES: Final = {
    Method.LORA: (5e-5, 1e-4, 5e-5),
    Method.QLORA: (1e-4, 2e-4, 1e-4),
    Method.FULL: (1e-5, 2e-5, 2e-5),
}
# A recipe whose point is a learning rate below the usual.
_SLOW_RECIPE: Final = "stable"

_BY_LENGTH: Final = N_("Rule: at least ten points on the curve and four measurements of the held-out loss.")
_BY_SIZE: Final = N_(
    "Rule: by size, and not one number for all: below 1,000 conversations 5–10 epochs, up to 10,000 2–5, up to 100,000 1–3, "
    "above 1–2. The shorter advice “1 to 3 epochs” is meant for large data."
)
_BY_AMOUNT: Final = N_("Rule: dropout 0.1 below 1,000 conversations, 0.05 up to 10,000, 0 above.")
_BY_PATIENCE: Final = N_("Rule: below 1,000 conversations always with an early stop, patience 3.")
_BY_METHOD: Final = N_(
    "Rule: LoRA 5e-5 to 1e-4, QLoRA 1e-4 to 2e-4, full 1e-5 to 2e-5, for a batch of 16; times the root of batch ÷ 16. "
    "Lists that name 2e-4 for every adapter mean QLoRA."
)
_BY_TASK: Final = N_("Rule: rank 8–16 for a format, 32–64 for a domain, 128–256 for complex tasks.")
_BY_CORES: Final = N_(
    "Rule: on a processor as many samples at once as it has cores, as far as its memory allows; batch × accumulation stays the same."
)
_BY_RANK: Final = N_("Rule: alpha is twice the rank; between the rank and four times the rank it works too.")


@dataclass(frozen=True)
class Advice:
    """A value for one field, as one would type it; `sentence` is the why, `rule` what it follows."""

    field: str
    value: str
    sentence: Sentence
    rule: Sentence


@dataclass(frozen=True)
class Situation:
    """What is trained on: samples are conversations unless each turn is a sample. `task` where a person said it; `cores` of a
    processor that trains it, 0 on a GPU or where nobody knows.
    """

    conversations: int
    held_out: int
    recipe: str = "standard"
    task: Task | None = None
    cores: int = 0


@dataclass(frozen=True)
class LearningRates:
    """The rule for a method, by the root of `batch`: from `low` to `high`, `first` to begin with; `usual_low` and `usual_high` are
    for a batch of 16.
    """

    method: str
    batch: int
    low: float
    high: float
    first: float
    usual_low: float
    usual_high: float


def learning_rates_for(config: TrainingConfig) -> LearningRates:
    """The learning rates that suit the config's method and batch."""
    batch = config.samples_per_step
    scale = math.sqrt(batch / _BASE_BATCH)
    low, high, first = _LEARNING_RATES[config.method]
    return LearningRates(
        _NAMES[config.method], batch, low * scale, high * scale, first * scale, usual_low=low, usual_high=high
    )


def epochs_for(conversations: int) -> tuple[int, int]:
    """From how many to how many passes suit so many conversations."""
    return next((low, high) for most, low, high in _EPOCHS if conversations <= most)


def advise(estimate: Estimate, config: TrainingConfig, situation: Situation) -> list[Advice]:
    """What in the config does not fit, in the order of the form; at most one piece a field."""
    return [
        *_epochs(config, situation),
        *_learning_rate(config, situation),
        *_dropout(config, situation),
        *_early_stop(config, situation),
        *_rank(config, situation),
        *_alpha(config),
        *_cores(config, situation, estimate),
        *_curve(estimate, config, situation),
    ]


def _epochs(config: TrainingConfig, situation: Situation) -> Iterator[Advice]:
    low, high = epochs_for(situation.conversations)
    if config.max_steps > 0 or low <= config.num_train_epochs <= high:
        return
    value = low if config.num_train_epochs < low else high
    message = (
        N_("%(count)d conversations are few: in %(epochs)s epochs little is learnt of them.")
        if config.num_train_epochs < low
        else N_("With %(count)d conversations, %(epochs)s epochs learn them by heart.")
    )
    why = Sentence.of(message, count=situation.conversations, epochs=display(config.num_train_epochs))
    yield Advice("num_train_epochs", str(value), why, Sentence(_BY_SIZE))


def _dropout(config: TrainingConfig, situation: Situation) -> Iterator[Advice]:
    wanted = next(value for most, value in _DROPOUT if situation.conversations <= most)
    if not config.use_peft or config.lora_dropout == wanted:
        return
    message = (
        N_("%(count)d conversations are soon known by heart: more dropout works against that.")
        if config.lora_dropout < wanted
        else N_(
            "With %(count)d conversations there is little danger of learning by heart: less dropout learns faster."
        )
    )
    why = Sentence.of(message, count=situation.conversations)
    yield Advice("lora_dropout", display(wanted), why, Sentence(_BY_AMOUNT))


def _early_stop(config: TrainingConfig, situation: Situation) -> Iterator[Advice]:
    if situation.conversations >= _SMALL or not situation.held_out or config.early_stopping_patience:
        return
    why = N_("%(count)d conversations overfit soon, and without an early stop the last weights are kept.")
    yield Advice(
        "early_stopping_patience",
        str(_PATIENCE_OF_FEW),
        Sentence.of(why, count=situation.conversations),
        Sentence(_BY_PATIENCE),
    )


def _learning_rate(config: TrainingConfig, situation: Situation) -> Iterator[Advice]:
    if situation.recipe == _SLOW_RECIPE:
        return
    rates = learning_rates_for(config)
    # A little beyond is no fault: values are rounded.
    if rates.low * 0.99 <= config.learning_rate <= rates.high * 1.01:
        return
    message = (
        N_(
            "%(rate)s is low for %(method)s with a batch of %(batch)d: much of the run would be spent on little."
        )
        if config.learning_rate < rates.low
        else N_("%(rate)s is high for %(method)s with a batch of %(batch)d: the loss may jump.")
    )
    rate = display(config.learning_rate)
    why = Sentence.of(message, rate=rate, method=rates.method, batch=rates.batch)
    yield Advice("learning_rate", display(float(f"{rates.first:.1e}")), why, Sentence(_BY_METHOD))


# Names that are the same in every language but the last.
_NAMES: Final = {Method.LORA: "LoRA", Method.QLORA: "QLoRA", Method.FULL: "full"}


def _rank(config: TrainingConfig, situation: Situation) -> Iterator[Advice]:
    if situation.task is None or not config.use_peft:
        return
    low, high = _RANKS[situation.task]
    if low <= config.lora_r <= high:
        return
    message = (
        N_("A rank of %(rank)d has little room for what you want to teach.")
        if config.lora_r < low
        else N_("A rank of %(rank)d is more than what you want to teach needs, and costs memory and time.")
    )
    value = low if config.lora_r < low else high
    yield Advice("lora_r", str(value), Sentence.of(message, rank=config.lora_r), Sentence(_BY_TASK))


def _alpha(config: TrainingConfig) -> Iterator[Advice]:
    if not config.use_peft or config.use_rslora or config.lora_r <= config.lora_alpha <= 4 * config.lora_r:
        return
    message = N_("An alpha of %(alpha)d beside a rank of %(rank)d makes the adapter too weak or too strong.")
    why = Sentence.of(message, alpha=config.lora_alpha, rank=config.lora_r)
    yield Advice("lora_alpha", str(2 * config.lora_r), why, Sentence(_BY_RANK))


def _cores(config: TrainingConfig, situation: Situation, estimate: Estimate) -> Iterator[Advice]:
    batch = for_each_core(config, situation.cores)
    # Where a step is more than all there is, that is what to mend first.
    if batch is None or estimate.samples < estimate.batch:
        return
    message = N_(
        "With a batch size of %(batch)d the %(cores)d processor cores have no samples of their own: several share each operation, "
        "which is too short for that. %(size)d × %(times)d is the same step, and quicker."
    )
    now, times = config.per_device_train_batch_size, _step(config) // batch
    why = Sentence.of(message, batch=now, cores=situation.cores, size=batch, times=times)
    yield Advice("per_device_train_batch_size", str(batch), why, Sentence(_BY_CORES))
    yield Advice("gradient_accumulation_steps", str(times), why, Sentence(_BY_CORES))


def for_each_core(config: TrainingConfig, cores: int) -> int | None:
    """The smallest batch size that leaves a step as large as it is and has a sample for each core, or all that a step has; None where
    the config's own is as good."""
    if config.backend != STUDIO or not shares_out_samples(config):
        return None
    step = _step(config)
    wanted = min(cores // config.num_processes, step)
    found = next(size for size in range(max(1, wanted), step + 1) if step % size == 0)
    return found if config.per_device_train_batch_size < wanted else None


def _step(config: TrainingConfig) -> int:
    """Samples that a process takes for a step."""
    return config.per_device_train_batch_size * config.gradient_accumulation_steps


def _curve(estimate: Estimate, config: TrainingConfig, situation: Situation) -> Iterator[Advice]:
    rule = Sentence(_BY_LENGTH)
    points = max(1, estimate.steps // _MIN_POINTS)
    if config.logging_steps > points:
        message = N_("With %(steps)d steps, a point every %(every)d steps makes a curve of few points.")
        why = Sentence.of(message, steps=estimate.steps, every=config.logging_steps)
        yield Advice("logging_steps", str(points), why, rule)
    quarter = max(1, estimate.steps // 4)
    if situation.held_out and config.eval_steps > quarter:
        message = N_("With %(steps)d steps, the held-out loss is measured less than four times.")
        yield Advice("eval_steps", str(quarter), Sentence.of(message, steps=estimate.steps), rule)
    smaller = max(1, estimate.samples // 4 // config.per_device_train_batch_size)
    if estimate.samples < estimate.batch and smaller < config.gradient_accumulation_steps:
        message = N_("A step takes %(batch)d samples and there are only %(samples)d: each epoch is one step.")
        why = Sentence.of(message, batch=estimate.batch, samples=estimate.samples)
        yield Advice("gradient_accumulation_steps", str(smaller), why, rule)
