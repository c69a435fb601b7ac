"""What is judged: points of the curves, sample answers, and the settings that a remedy changes."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TrainPoint:
    """A logged step. `loss` in nats a trained token, None where it was no number."""

    step: int
    loss: float | None
    epoch: float | None = None
    grad_norm: float | None = None


@dataclass(frozen=True)
class EvalPoint:
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
    """A run so far, in order of steps. `total_steps` are planned; `broke_at` is the step whose loss was no number."""

    train: list[TrainPoint] = field(default_factory=list)
    evals: list[EvalPoint] = field(default_factory=list)
    samples: list[SampleAnswer] = field(default_factory=list)
    total_steps: int | None = None
    broke_at: int | None = None


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
