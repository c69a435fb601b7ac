"""Where a run begins that does not begin at its base model. Loads no database, for the worker's child is told it too."""

from typing import Final, Literal, get_args

from app.core.stored_models import StoredModel

# Go on where the checkpoint stands; keep the checkpoint as a model, without a step; begin anew with an adapter's weights.
How = Literal["checkpoint", "kept", "adapter"]
HOWS: Final[tuple[How, ...]] = get_args(How)


class Beginning(StoredModel):
    """`step` of run `run_id`, which was called `run`. `eval_loss` is its held-out loss there, in nats a trained token, on what
    that run held out; null where nobody measured it."""

    schema_version: Literal[1] = 1
    how: How
    run_id: int
    run: str
    step: int
    eval_loss: float | None = None


class BeginAt(StoredModel):
    """The same for the child: `folder` is the checkpoint's, or the adapter's."""

    schema_version: Literal[1] = 1
    how: How
    run_id: int
    step: int
    folder: str
