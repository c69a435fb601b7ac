"""What a run begins from, in the reader's language."""

from typing import Final

from app.core.i18n import gettext
from app.runs.beginning import How
from app.runs.models import Run
from app.sentences import N_

_WORDS: Final[dict[How, str]] = {
    "checkpoint": N_("Run %(id)d, on from step %(step)d"),
    "kept": N_("Run %(id)d, as of step %(step)d"),
    "adapter": N_("The adapter of run %(id)d, step %(step)d"),
}
BASE: Final = N_("The base model")


def beginning_words(run: Run) -> str:
    """A few words."""
    if run.begins is None:
        return gettext(BASE)
    return gettext(_WORDS[run.begins.how]) % {"id": run.begins.run_id, "step": run.begins.step}
