"""What came of a run, as the trainer tells it and as it is stored. Loads no database, for the worker's child writes it."""

from typing import Literal

from pydantic import BaseModel, Field

from app.core.stored_models import StoredModel
from app.runs.environment import Environment

# Whose code the layers of an adapter run in.
AdapterCode = Literal["studio", "peft"]


class Pieces(StoredModel):
    """What computes the steps of a run, as its trial chose before the first one: the same mathematics, other last bits.

    `device`: cpu or cuda, of which each has its own. `rows`: several conversations in a row by one kernel (`varlen`) or by a call for
    each (`packed`), or each conversation alone in the model's own pass. `adapter`: whose code its layers run in, null where every
    weight is trained. `liger`: whether Liger's kernels take part. `prefixes`: whether what conversations of a row share at their
    beginnings is computed `once`, or in `each` of them.
    """

    schema_version: Literal[1] = 1
    device: str
    rows: Literal["varlen", "packed", "alone"]
    adapter: AdapterCode | None
    liger: bool = False
    prefixes: Literal["once", "each"] = "each"


class TrainingPlan(StoredModel):
    """How long a run was going to be, decided before its first step and kept by every later attempt.

    `steps` of the `wanted_steps` that epochs or step limit ask for fit into `minutes` (0: no limit) at
    `tokens_per_second`, as measured on the run's own batches; null where nothing had to be measured. `seconds` is
    what that takes, held-out measurements included. `precision` is that of the frozen weights, `pieces` what computes the steps; null
    where another tool trained, and of runs from before it was kept.
    """

    schema_version: Literal[1] = 1
    steps: int
    wanted_steps: int
    minutes: float = 0.0
    tokens_per_second: float | None = None
    seconds: float | None = None
    precision: str
    pieces: Pieces | None = None


# By itself; as somebody asked; for want of a new best held-out loss; a checkpoint was made a model as it was.
StopReason = Literal["finished", "requested", "no_improvement", "checkpoint"]


class TrainedAmount(BaseModel):
    """Conversations, samples and their tokens, all and in the loss, in one pass over the data; what was drawn twice counts
    twice.
    """

    conversations: int
    samples: int
    tokens: int
    trained_tokens: int


class MixedResult(BaseModel):
    """What was trained of the domain and of a second dataset. `arrays_hash`: sha256 of the ids and labels of both together.

    Drawn with `seed` from `available` conversations; `left_out` of the second dataset are in the domain's too. The file
    `drawn`, among the run's, names those that were. `loss_before` and `loss_after` (of the kept weights) are the losses on
    what the second dataset held out, in nats a trained token; null where nothing was.
    """

    domain: TrainedAmount
    mixed_in: TrainedAmount
    order: str
    seed: int
    available: int
    left_out: int
    arrays_hash: str
    drawn: str
    loss_before: float | None = None
    loss_after: float | None = None

    @property
    def share(self) -> float:
        """Of all conversations, those mixed in."""
        return self.mixed_in.conversations / max(1, self.mixed_in.conversations + self.domain.conversations)

    @property
    def trained_share(self) -> float:
        """Of all tokens in the loss, those mixed in."""
        mixed_in = self.mixed_in.trained_tokens
        return mixed_in / max(1, mixed_in + self.domain.trained_tokens)


class RunResult(StoredModel):
    """`adapter` is the folder of the kept weights, which are those of `adapter_step`; the run ended after `steps`.

    Losses are means over trained tokens in nats; `eval_loss` is that of the kept adapter on what was held out, null
    where nothing was. `labels_hash` is the sha256 of the arrays whose labels reached the loss, `labels_seen` of
    `labels_total` samples. `adapted` counts the layers that the adapter is on by the last part of their names,
    `left_out` the linear ones without it. `trained_by` is the tool and version that trained in the studio's place; `mix` is
    there where a second dataset was mixed in. `tokens` passed the model in all steps, `trained_tokens` of them in the loss; null
    where another tool trained. Unknown figures are null.
    """

    schema_version: Literal[1] = 1
    adapter: str
    adapter_step: int
    steps: int
    total_steps: int
    train_loss: float | None
    eval_loss: float | None
    stopped_early: bool
    stop_reason: StopReason
    labels_hash: str
    labels_seen: int
    labels_total: int
    peak_memory_bytes: int | None
    plan: TrainingPlan | None = None
    adapted: dict[str, int] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(default_factory=dict)
    environment: Environment | None = None
    trained_by: str | None = None
    mix: MixedResult | None = None
    tokens: int | None = None
    trained_tokens: int | None = None

    @property
    def pieces(self) -> Pieces | None:
        """What computed its steps, where that was kept."""
        return self.plan.pieces if self.plan else None
