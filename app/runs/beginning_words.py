"""What a run begins from, in the reader's language."""

from typing import Final

from sqlmodel import Session

from app.core.i18n import gettext
from app.runs.beginning import How
from app.runs.losses import read_losses
from app.runs.models import Run
from app.runs.service import run_job
from app.sentences import N_

_WORDS: Final[dict[How, str]] = {
    "checkpoint": N_("Run %(id)d, on from step %(step)d"),
    "kept": N_("Run %(id)d, as of step %(step)d"),
    "adapter": N_("The adapter of run %(id)d, step %(step)d"),
}
BASE: Final = N_("The base model")


def against_earlier(session: Session, run: Run) -> tuple[float, float] | None:
    """Held-out loss (nats a trained token) of what the run began from and of what came of it, on what this run held out.

    None where the run began at its base model, has not ended with a model, or either was not measured.
    """
    if run.begins is None or run.result is None or run.result.eval_loss is None:
        return None
    if run.begins.how != "adapter":
        # On the same arrays, so what was measured then holds here.
        return None if run.begins.eval_loss is None else (run.begins.eval_loss, run.result.eval_loss)
    evals = read_losses(session, run_job(session, run)).evals
    if not evals or evals[0].step != 0 or evals[0].loss is None:
        return None
    return (evals[0].loss, run.result.eval_loss)


def beginning_words(run: Run) -> str:
    """A few words."""
    if run.begins is None:
        return gettext(BASE)
    return gettext(_WORDS[run.begins.how]) % {"id": run.begins.run_id, "step": run.begins.step}
