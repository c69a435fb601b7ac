"""`diagnose`: what is wrong with a run by its curves, and what to change; `checklist` all of it item by item; `samples` and
`compare`: what it answered, runs side by side."""

from dataclasses import asdict
from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.cli.training import again_with
from app.core.console import print_json, print_table, say
from app.core.i18n import gettext as _

RunOption = Annotated[int, typer.Option("--run", help=_("Id of the run."))]


def diagnose(
    run: RunOption,
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
        if finding.changes:
            say(again_with(run, finding.changes))
            say(_("Or on its form: %(url)s") % {"url": page})


def checklist(run: RunOption, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `checklist`."""
    with connect(url) as client:
        lines = client.checklist(run)
        page = client.page(f"/runs/{run}#checklist")
    if as_json:
        print_json([line.model_dump(mode="json") for line in lines])
        return
    rows: list[list[object]] = [[line.part_title, line.word, line.title, line.evidence] for line in lines]
    print_table([_("Section"), _("State"), _("Item"), _("Evidence")], rows)
    say(page)


def samples(run: RunOption, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `samples`."""
    with connect(url) as client:
        answers = client.samples(run)
    if as_json:
        print_json(answers)
        return
    rows: list[list[object]] = [[answer["step"], answer["asked"], answer["text"]] for answer in answers]
    print_table([_("step"), _("prompt"), _("answer")], rows)


def manifest(run: RunOption, url: UrlOption = "") -> None:
    """Command `manifest`."""
    with connect(url) as client:
        print_json(client.manifest(run).model_dump(mode="json"))


def compare(
    run: Annotated[list[int], typer.Option("--run", help=_("Id of a run; give two to four."))],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `compare`."""
    with connect(url) as client:
        found = client.compare(run)
        page = client.page("/runs/compare?" + "&".join(f"run={one}" for one in run))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    came: list[list[object]] = [
        [_("steps"), *(one.steps for one in found.runs)],
        [_("training loss"), *(_figure(one.train_loss) for one in found.runs)],
        [_("best held-out loss"), *(_figure(one.best_eval_loss) for one in found.runs)],
    ]
    differing: list[list[object]] = [[row.name or row.label, *row.values] for row in found.differences]
    for one in found.runs:
        if one.data is not None:
            told = _(
                "Data of run %(id)s: %(added)s conversations more, %(changed)s changed, %(removed)s gone."
            )
            say(told % {"id": one.run_id, **asdict(one.data)})
    print_table(["", *(str(one.run_id) for one in found.runs)], [*came, *differing])
    say(page)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
