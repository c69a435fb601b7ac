"""`pause`, `resume` and `stop`: what a person asks of a run under way."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption, WaitOption
from app.cli.progress import JobProgress
from app.cli.training import wait_for_run
from app.client.waiting import last_seq, require_success, wait_for_pause_or_end
from app.core.console import print_json, say
from app.core.i18n import gettext as _
from app.jobs.models import JobState, StopRequest
from app.runs.schemas import RunOut

RunOption = Annotated[int, typer.Option("--run", help=_("Id of the run."))]


def pause(run: RunOption, wait: WaitOption = True, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `pause`."""
    _stop(run, StopRequest.PAUSE, wait=wait, url=url, as_json=as_json)


def resume(run: RunOption, wait: WaitOption = True, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `resume`."""
    with connect(url) as client:
        # What came before the pause was told to whoever waited then.
        after = last_seq(client, client.run(run).job.id) if wait else 0
        found = client.resume_run(run)
        _told(found, _("Run %(id)d goes on as soon as a worker is free."), as_json=as_json and not wait)
        if wait:
            found = wait_for_run(client, found, as_json=as_json, after=after)
            _told(found, _ENDED[JobState.SUCCEEDED], as_json=as_json)


def stop(
    run: RunOption,
    discard: Annotated[
        bool, typer.Option("--discard", help=_("Make no model of it; without this it is kept."))
    ] = False,
    wait: WaitOption = True,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `stop`."""
    how = StopRequest.CANCEL if discard else StopRequest.SAVE
    _stop(run, how, wait=wait, url=url, as_json=as_json)


def _stop(run: int, how: StopRequest, *, wait: bool, url: str, as_json: bool) -> None:
    with connect(url) as client:
        found = client.stop_run(run, how)
        # One that waited had nothing that could be kept.
        waited = found.job.state.is_final
        if wait:
            with JobProgress(_("Training")) as progress:
                wait_for_pause_or_end(client, found.job.id, progress)
            found = client.run(run)
    state = found.job.state
    if state is JobState.FAILED or (
        state is JobState.CANCELLED and how is not StopRequest.CANCEL and not waited
    ):
        # Scripts go on with a model, or with a pause, that there is not.
        if as_json:
            print_json(found.model_dump(mode="json"))
        require_success(found.job, what=_("The run"))
    _told(found, _ENDED.get(state, _("Run %(id)d was asked to.")), as_json=as_json)


_ENDED = {
    JobState.PAUSED: _("Run %(id)d is paused. “sft-studio resume --run %(id)d” lets it go on."),
    JobState.SUCCEEDED: _("Run %(id)d has ended, and its model is kept."),
    JobState.CANCELLED: _("Run %(id)d was cancelled."),
}


def _told(run: RunOut, words: str, *, as_json: bool) -> None:
    say(words % {"id": run.id})
    if as_json:
        print_json(run.model_dump(mode="json"))
