"""What is judged: points of the curves, sample answers, and the settings that a remedy changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple


class TrainPoint(NamedTuple):
    """A logged step. `loss` in nats a trained token, None where it was no number."""

    step: int
    loss: float | None
    epoch: float | None = None
    grad_norm: float | None = None


class EvalPoint(NamedTuple):
    """The held-out loss after a step, in nats a trained token."""

    step: int
    loss: float | None


@dataclass(frozen=True)
class SampleAnswer:
    """The greedy answer to a prompt after a step.

    `copied` is the share (0 to 1) of the answer that stands in one training answer or two in the same words, None
    where that was not looked up or the answer is too short to tell.
    """

    step: int
    prompt: int
    text: str
    copied: float | None = None


@dataclass(frozen=True)
class Record:
    """A run so far, in order of steps. `total_steps` are planned; `broke_at` is the step whose loss was no number.

    At step `switches_at` of a curriculum the data change, from a second dataset to the one that is held out in part: what
    the losses do there is no fault. `begins_at` is the step after which a stretch of a run begins.
    """

    train: Sequence[TrainPoint] = ()
    evals: Sequence[EvalPoint] = ()
    samples: list[SampleAnswer] = field(default_factory=list)
    total_steps: int | None = None
    broke_at: int | None = None
    switches_at: int | None = None
    begins_at: int = 0

    @property
    def points(self) -> list[tuple[int, float]]:
        """Step and loss of the training points that have one."""
        return [(point.step, point.loss) for point in self.train if point.loss is not None]

    def stretches(self) -> "tuple[Record, Record] | None":
        """Before the data change and after, each as a run of its own; None without a change. Points that may have something of
        both are in neither, and so are held-out losses from before: they tell nothing of what was trained then.
        """
        switch = self.switches_at
        if switch is None:
            return None
        # A point is the mean since the one before it, and where exactly the data change is known to a step.
        margin = 1 + max((after.step - one.step for one, after in pairwise(self.train)), default=0)
        broke = self.broke_at
        before = Record(
            [point for point in self.train if point.step < switch],
            total_steps=switch,
            broke_at=broke if broke is not None and broke <= switch else None,
        )
        since = [point for point in self.evals if point.step >= switch]
        last = [point for point in self.evals if point.step < switch][-1:]
        after = Record(
            [point for point in self.train if point.step > switch + margin],
            [*last, *since],
            total_steps=self.total_steps,
            broke_at=broke if broke is not None and broke > switch else None,
            begins_at=switch,
        )
        return before, after


@dataclass(frozen=True)
class Settings:
    """The settings that remedies change, by TRL's and PEFT's names."""

    learning_rate: float
    num_train_epochs: float
    max_steps: int
    warmup_ratio: float
    warmup_steps: int
    lr_scheduler_type: str
    max_grad_norm: float
    weight_decay: float
    gradient_accumulation_steps: int
    lora_r: int
    lora_alpha: int
    lora_dropout: float
    early_stopping_patience: int
