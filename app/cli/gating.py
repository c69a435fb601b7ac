"""`gate`: may this run go on? Exit code 0 passed, 1 not passed, 2 could not be judged, whatever the reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.exit_codes import NOT_JUDGED, RED
from app.cli.options import JsonOption, WaitOption
from app.cli.progress import JobProgress
from app.cli.sweeping import wait_for_sweep
from app.client.rest import StudioClient
from app.client.waiting import wait_for_job
from app.core.console import CommandFailed, Id, print_json, print_table, say
from app.core.i18n import gettext as _
from app.gates.reports import Judged, junit, junit_not_judged, markdown, markdown_not_judged, wanted
from app.gates.schemas import GateOut, Need, SweepGateOut, figure
from app.gates.sweep_reports import sweep_junit, sweep_markdown, told_of

_Limits = list[str] | None
_MinOption = Annotated[
    _Limits, typer.Option("--min", metavar="METRIC=VALUE", help=_("At least so much. May be repeated."))
]
_MaxOption = Annotated[
    _Limits, typer.Option("--max", metavar="METRIC=VALUE", help=_("At most so much. May be repeated."))
]
_AgainstOption = Annotated[
    str,
    typer.Option(
        "--against",
        metavar="RUN|base",
        help=_("Not worse than another run, or than the base model: in held-out loss and in checks passed."),
    ),
]
_ToleranceOption = Annotated[
    _Limits,
    typer.Option(
        "--tolerance",
        metavar="METRIC=VALUE",
        help=_("How much worse than that it may be; compares what is named too. May be repeated."),
    ),
]
_NeedOption = Annotated[
    Need,
    typer.Option("--need", help=_("Of a sweep: whether one of its runs has to pass (any), or all of them.")),
]
_JunitOption = Annotated[
    Path | None, typer.Option("--junit", help=_("Write what was found as JUnit to this file."))
]
_MarkdownOption = Annotated[
    Path | None,
    typer.Option("--markdown", help=_("Write what was found as Markdown to this file, for a job's summary.")),
]


def gate(
    run: Annotated[int | None, typer.Option("--run", min=1, help=_("Id of the run."))] = None,
    sweep: Annotated[
        int | None,
        typer.Option(
            "--sweep", min=1, help=_("Id of a sweep, in place of a run: each of its runs is judged.")
        ),
    ] = None,
    need: _NeedOption = "any",
    minimum: _MinOption = None,
    maximum: _MaxOption = None,
    against: _AgainstOption = "",
    tolerance: _ToleranceOption = None,
    junit_file: _JunitOption = None,
    markdown_file: _MarkdownOption = None,
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `gate`."""
    asked: dict[str, str | list[str]] = {
        "min": minimum or [],
        "max": maximum or [],
        "against": against,
        "tolerance": tolerance or [],
    }
    if (run is None) == (sweep is None):
        raise CommandFailed(_("Name what is judged: either --run or --sweep."), exit_code=NOT_JUDGED)
    what: Judged = "run" if sweep is None else "sweep"
    number = run or sweep or 0
    try:
        with connect(url) as client:
            if what == "run":
                files, show = _of_run(client, number, asked, wait=wait)
            else:
                files, show = _of_sweep(client, number, {**asked, "need": need}, wait=wait)
    except CommandFailed as failure:
        unwritten = [
            *_write(junit_file, junit_not_judged(what, number, str(failure))),
            *_write(markdown_file, markdown_not_judged(what, number, str(failure))),
        ]
        raise CommandFailed(" ".join([str(failure), *unwritten]), exit_code=NOT_JUDGED) from failure
    unwritten = [*_write(junit_file, files[0]), *_write(markdown_file, files[1])]
    try:
        show(as_json)
    except CommandFailed as red:
        raise CommandFailed(" ".join([str(red), *unwritten]), exit_code=red.exit_code) from red
    if unwritten:
        raise CommandFailed(" ".join(unwritten), exit_code=NOT_JUDGED)


def _of_run(
    client: StudioClient, run: int, asked: dict[str, str | list[str]], *, wait: bool
) -> tuple[tuple[str, str], Callable[[bool], None]]:
    """As JUnit, as Markdown, and what shows it; that raises CommandFailed where the run did not pass."""
    if wait:
        _wait(client, run)
    found, page = client.gate(run, asked), client.page(f"/runs/{run}")
    return (junit(found), markdown(found, page)), lambda as_json: _show(found, as_json=as_json)


def _of_sweep(
    client: StudioClient, sweep: int, asked: dict[str, str | list[str]], *, wait: bool
) -> tuple[tuple[str, str], Callable[[bool], None]]:
    """The same of all runs of a sweep."""
    if wait:
        for one in wait_for_sweep(client, client.sweep(sweep)).runs:
            _wait_for_evaluations(client, one.run_id)
    found, page = client.gate_sweep(sweep, asked), client.page(f"/sweeps/{sweep}")
    files = (sweep_junit(found), sweep_markdown(found, page))
    return files, lambda as_json: _show_sweep(found, as_json=as_json)


def _wait(client: StudioClient, run: int) -> None:
    """Until the run and every evaluation of it have ended; those that end badly say so, and are not judged by."""
    job = client.run(run).job
    client.be_patient()
    if not job.state.is_final:
        with JobProgress(_("Training")) as progress:
            wait_for_job(client, job, progress, what=_("The run"))
    _wait_for_evaluations(client, run)


def _wait_for_evaluations(client: StudioClient, run: int) -> None:
    for evaluation in reversed(client.evaluations(run)):
        if not evaluation.job.state.is_final:
            with JobProgress(_("Evaluating")) as progress:
                wait_for_job(client, evaluation.job, progress, what=_("The evaluation"))


def _write(path: Path | None, text: str) -> list[str]:
    """Why the file could not be written, if so: what was found is told all the same."""
    if path is None:
        return []
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        return [
            _("%(path)s cannot be written: %(reason)s") % {"path": path, "reason": error.strerror or error}
        ]
    return []


def _show(found: GateOut, *, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        rows: list[list[object]] = [
            [
                "✓" if one.passed else "✗",
                one.metric,
                figure(one.value),
                wanted(one),
                "" if one.reference is None else figure(one.reference),
            ]
            for one in found.criteria
        ]
        print_table(["", _("Metric"), _("Value"), _("Wanted"), _("Reference")], rows)
    for left in found.left_out:
        say(left.detail)
    if not found.passed:
        failed = [one.detail for one in found.criteria if not one.passed]
        raise CommandFailed(
            _("Run %(id)d did not pass the gate. %(failed)s")
            % {"id": found.run_id, "failed": " ".join(failed)},
            exit_code=RED,
        )
    say(_("Run %(id)d passed the gate.") % {"id": found.run_id})


def _show_sweep(found: SweepGateOut, *, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        rows: list[list[object]] = [
            [
                "✓" if one.passed else "✗" if one.gate else "?",
                f"{one.run_id} ★" if one.run_id == found.best_run_id else Id(one.run_id),
                ", ".join(f"{name} {value}" for name, value in one.values.items()),
                told_of(one),
            ]
            for one in found.runs
        ]
        print_table(["", _("run"), _("What differs"), _("What came of it")], rows)
    passed = [str(one.run_id) for one in found.runs if one.passed]
    said = {"id": found.sweep_id, "passed": ", ".join(passed) or "–", "all": len(found.runs)}
    if not found.passed:
        raise CommandFailed(
            _("Sweep %(id)d did not pass the gate. Of its %(all)d runs passed: %(passed)s.") % said,
            exit_code=RED,
        )
    say(_("Sweep %(id)d passed the gate. Of its %(all)d runs passed: %(passed)s.") % said)
