"""`evaluate`: judge a run's adapter against its base model on a suite."""

from typing import Annotated

import typer
from pydantic import ValidationError

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption, WaitOption
from app.cli.progress import JobProgress
from app.cli.verdict import verdict_lines
from app.client.waiting import JobEnded, wait_for_job
from app.core.console import CommandFailed, print_json, say
from app.core.i18n import gettext as _
from app.core.i18n import say as spoken
from app.evaluations.documents import CaseLimits
from app.evaluations.schemas import EarlierRunOut
from app.invalid import wrong_fields


def evaluate(
    run: Annotated[int, typer.Option("--run", help=_("Id of the run."))],
    suite: Annotated[str, typer.Option("--suite", help=_("Name of the evaluation suite."))],
    max_cases: Annotated[
        int | None,
        typer.Option("--max-cases", min=1, help=_("At most so many cases, chosen evenly. Default: all.")),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            "--max-minutes",
            help=_("As many cases, chosen evenly, as the machine answers in so many minutes. Default: all."),
        ),
    ] = None,
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `evaluate`."""
    with connect(url) as client:
        try:
            limits = CaseLimits(max_cases=max_cases, max_minutes=max_minutes)
        except ValidationError as error:
            raise CommandFailed(spoken(wrong_fields(error.errors())[0].sentence)) from error
        evaluation = client.start_evaluation(run, suite, limits)
        page = client.page(f"/evaluations/{evaluation.id}")
        say(_("Evaluation %(id)d: %(url)s") % {"id": evaluation.id, "url": page})
        try:
            if wait:
                with JobProgress(_("Evaluating")) as progress:
                    wait_for_job(client, evaluation.job, progress, what=_("The evaluation"))
                evaluation = client.evaluation(evaluation.id)
        except JobEnded:
            if as_json:
                print_json(client.evaluation(evaluation.id).model_dump(mode="json"))
            raise
        if wait and (verdict := client.verdict(run)):
            for line in verdict_lines(verdict):
                say(line)
        if wait and evaluation.earlier:
            _say_earlier(run, evaluation.earlier)
        if as_json:
            print_json(evaluation.model_dump(mode="json"))


def _say_earlier(run: int, earlier: EarlierRunOut) -> None:
    """Where the run began, how that did on the same cases, and how both are held against each other."""
    say(_("Began from: %(words)s") % {"words": earlier.words})
    if earlier.checks:
        before, after, of = earlier.checks
        told = _("On the same cases it passed %(before)d of %(all)d checks, this run %(after)d.")
        say("  " + told % {"before": before, "after": after, "all": of})
    command = f"sft-studio gate --run {run} --against {earlier.run_id}"
    say("  " + _("Is this run no worse? %(command)s") % {"command": command})
