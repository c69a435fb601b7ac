"""`gate`: may this run go on? Exit code 0 passed, 1 not passed, 2 could not be judged, whatever the reason."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.exit_codes import NOT_JUDGED, RED
from app.cli.options import JsonOption, WaitOption
from app.cli.progress import JobProgress
from app.client.rest import StudioClient
from app.client.waiting import wait_for_job
from app.core.console import CommandFailed, print_json, print_table, say
from app.core.i18n import gettext as _
from app.gates.reports import junit, junit_not_judged, markdown, markdown_not_judged, wanted
from app.gates.schemas import GateOut, figure

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
_JunitOption = Annotated[
    Path | None, typer.Option("--junit", help=_("Write what was found as JUnit to this file."))
]
_MarkdownOption = Annotated[
    Path | None,
    typer.Option("--markdown", help=_("Write what was found as Markdown to this file, for a job's summary.")),
]


def gate(
    run: Annotated[int, typer.Option("--run", min=1, help=_("Id of the run."))],
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
    try:
        with connect(url) as client:
            if wait:
                _wait(client, run)
            found = client.gate(run, asked)
            page = client.page(f"/runs/{run}")
    except CommandFailed as failure:
        _write(junit_file, junit_not_judged(run, str(failure)))
        _write(markdown_file, markdown_not_judged(run, str(failure)))
        raise CommandFailed(str(failure), exit_code=NOT_JUDGED) from failure
    _write(junit_file, junit(found))
    _write(markdown_file, markdown(found, page))
    _show(found, as_json=as_json)
    if not found.passed:
        failed = [one.detail for one in found.criteria if not one.passed]
        raise CommandFailed(
            _("Run %(id)d did not pass the gate. %(failed)s") % {"id": run, "failed": " ".join(failed)},
            exit_code=RED,
        )


def _wait(client: StudioClient, run: int) -> None:
    """Until the run and every evaluation of it have ended; those that end badly say so, and are not judged by."""
    job = client.run(run).job
    client.be_patient()
    if not job.state.is_final:
        with JobProgress(_("Training")) as progress:
            wait_for_job(client, job, progress, what=_("The run"))
    for evaluation in reversed(client.evaluations(run)):
        if not evaluation.job.state.is_final:
            with JobProgress(_("Evaluating")) as progress:
                wait_for_job(client, evaluation.job, progress, what=_("The evaluation"))


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(
            _("%(path)s cannot be written: %(reason)s") % {"path": path, "reason": error.strerror or error},
            exit_code=NOT_JUDGED,
        ) from error


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
    if found.passed:
        say(_("Run %(id)d passed the gate.") % {"id": found.run_id})
