"""Whether a run is better than its base model, as lines for people."""

from app.core.i18n import gettext as _
from app.evaluations.documents import JudgedRun, SuiteOfRun


def verdict_lines(verdict: JudgedRun) -> list[str]:
    """The word, each suite with its numbers and how sure it is, then what to do next."""
    return [
        _("Verdict: %(word)s") % {"word": verdict.word},
        *(f"  {_suite_line(suite)}" for suite in verdict.suites),
        *(_("Next: %(advice)s") % {"advice": advice.detail} for advice in verdict.advice),
    ]


def _suite_line(suite: SuiteOfRun) -> str:
    told = f"{suite.detail}. {suite.certainty_detail}"
    return f"{told} {suite.part.detail}" if suite.part else told
