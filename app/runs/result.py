"""What came of a run, as the trainer tells it and as it is stored. Loads no database, for the worker's child writes it."""

from typing import Literal

from pydantic import Field

from app.core.stored_models import StoredModel


class RunResult(StoredModel):
    """`adapter` is the folder of the kept weights, which are those of `adapter_step`; the run ended after `steps`.

    Losses are means over trained tokens in nats; `eval_loss` is that of the kept adapter on what was held out, null
    where nothing was. `labels_hash` is the sha256 of the arrays whose labels reached the loss, `labels_seen` of
    `labels_total` samples. `adapted` counts the layers that the adapter is on by the last part of their names,
    `left_out` the linear ones without it. Unknown figures are null.
    """

    schema_version: Literal[1] = 1
    adapter: str
    adapter_step: int
    steps: int
    total_steps: int
    train_loss: float | None
    eval_loss: float | None
    stopped_early: bool
    stop_reason: Literal["finished", "requested", "no_improvement"]
    labels_hash: str
    labels_seen: int
    labels_total: int
    peak_memory_bytes: int | None
    adapted: dict[str, int] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(default_factory=dict)
