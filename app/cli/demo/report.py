"""The demo's report: what tuning changed, on standard output."""

import shutil
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.cli.demo.steps import SUITES, DemoSteps
from app.cli.verdict import verdict_lines
from app.core.formatting import number
from app.core.i18n import gettext as _
from app.sentences import N_

_TITLES: Final = {"sales-en": N_("Sales suite"), "general-en": N_("General suite")}
_MIN_WIDTH: Final = 80


def print_report(steps: DemoSteps) -> None:
    """A table of base and tuned side by side, then where to look closer."""
    table = Table(title=_("Tuned against base"), title_justify="left", header_style="bold")
    table.add_column("")
    for name in (_("Base"), _("Tuned")):
        table.add_column(name, justify="right")
    table.add_column(_("Change"), justify="right")
    for row in _rows(steps):
        table.add_row(*row)
    width = max(shutil.get_terminal_size().columns, _MIN_WIDTH)
    console = Console(highlight=False, width=width)
    console.print(table)
    verdict = steps.client.verdict(steps.run.id)
    for line in verdict_lines(verdict) if verdict else ():
        console.print(escape(line), soft_wrap=True)
    console.print(
        _("Run:        %(url)s") % {"url": steps.client.page(f"/runs/{steps.run.id}")}, soft_wrap=True
    )
    for suite in SUITES:
        page = steps.client.page(f"/evaluations/{steps.evaluations[suite].id}")
        console.print(_("Report:     %(url)s (%(suite)s)") % {"url": page, "suite": suite}, soft_wrap=True)


def _rows(steps: DemoSteps) -> list[tuple[str, str, str, str]]:
    rows = []
    for suite in SUITES:
        summary = steps.summary(suite)
        base, tuned = summary.base, summary.tuned
        title = _(_TITLES[suite])
        rows.append(
            (
                _("%(suite)s: checks passed") % {"suite": title},
                f"{base.checks_passed}/{base.checks}",
                f"{tuned.checks_passed}/{tuned.checks}",
                f"{tuned.checks_passed - base.checks_passed:+d}",
            )
        )
        rows.append(
            _figure_row(_("%(suite)s: mean score") % {"suite": title}, base.scores.mean, tuned.scores.mean)
        )
    measured = steps.summary(SUITES[0])
    for values, label in (
        (measured.held_out_loss, _("Held-out loss")),
        (measured.perplexity, _("Perplexity")),
    ):
        rows.append(_figure_row(label, *(values.base, values.tuned) if values else (None, None)))
    return rows


def _figure_row(label: str, base: float | None, tuned: float | None) -> tuple[str, str, str, str]:
    change = "–" if base is None or tuned is None else f"{tuned - base:+.3f}"
    return label, number(base, 3), number(tuned, 3), change
