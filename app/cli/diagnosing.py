"""`diagnose`: what is wrong with a run by its curves, and which settings a new run should have otherwise."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.core.console import print_json, print_table, say
from app.core.i18n import gettext as _
from app.recipes.fields import display


def diagnose(
    run: Annotated[int, typer.Option("--run", help=_("Id of the run."))],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `diagnose`."""
    with connect(url) as client:
        findings = client.diagnosis(run)
        pages = [client.page(finding.new_run) for finding in findings]
    if as_json:
        print_json([finding.model_dump(mode="json") for finding in findings])
        return
    if not findings:
        say(_("Nothing is wrong with the curves of run %(id)d so far.") % {"id": run})
    for finding, page in zip(findings, pages, strict=True):
        say(f"{finding.title}: {finding.message}")
        print_table(
            [_("measured"), _("step"), _("value")],
            [[one.label, one.step, f"{one.value:.4g}"] for one in finding.evidence],
        )
        say(finding.advice)
        for name, value in finding.changes.items():
            say(f"  --set {name}={display(value)}")
        say(_("New run with this change: %(url)s") % {"url": page})
