"""`queue`: what runs and what waits; moving a waiting job, its priority, pausing all of it."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.core.console import Id, print_json, print_table, say
from app.core.i18n import gettext as _
from app.jobs.models import Priority
from app.jobs.order import Move
from app.queue.schemas import PausedOut, QueueOut, RunningOut, WaitingOut

app = typer.Typer(help=_("Show the queue and order what waits."), no_args_is_help=True)
JobArgument = Annotated[int, typer.Argument(help=_("Id of the job, as “queue list” shows it."))]


@app.command("list", help=_("Show what runs, what waits and when it starts, and the workers."))
def list_queue(url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `queue list`."""
    with connect(url) as client:
        found = client.queue()
    _show(found, as_json=as_json)


@app.command("move", help=_("Move a waiting job among those of its priority."))
def move(
    job: JobArgument,
    where: Annotated[Move, typer.Argument(help=_("Where it goes."))],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `queue move`."""
    with connect(url) as client:
        found = client.move_job(job, where)
    _show(found, as_json=as_json)


@app.command("priority", help=_("Give a waiting job another priority."))
def priority(
    job: JobArgument,
    priority: Annotated[Priority, typer.Argument(help=_("All of a higher priority start before it."))],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `queue priority`."""
    with connect(url) as client:
        found = client.set_priority(job, priority)
    _show(found, as_json=as_json)


@app.command("pause", help=_("Let no new work start; what runs goes on."))
def pause(
    reason: Annotated[str, typer.Option("--reason", help=_("Why, for those who wait."))] = "",
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `queue pause`."""
    with connect(url) as client:
        found = client.pause_queue(reason)
    _show(found, as_json=as_json)


@app.command("resume", help=_("Let the queue go on."))
def resume(url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `queue resume`."""
    with connect(url) as client:
        found = client.resume_queue()
    _show(found, as_json=as_json)


def _what(one: RunningOut | PausedOut | WaitingOut) -> str:
    """With its page, as names alone are alike: what is ordered here is known by another number there."""
    return f"{one.title} {one.page}" if one.page else one.title


def _show(found: QueueOut, *, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    if found.pause is not None:
        told = {"name": found.pause.created_by, "reason": found.pause.reason or "–"}
        say(_("The queue is paused by %(name)s: %(reason)s") % told)
    rows: list[list[object]] = [
        [Id(one.job.id), "–", one.job.status, _what(one), one.job.created_by, "", one.ends_at or "?"]
        for one in found.running
    ]
    rows += [
        [Id(one.job.id), "–", one.job.status, _what(one), one.job.created_by, "", ""] for one in found.paused
    ]
    rows += [
        [
            Id(one.job.id),
            one.position,
            one.job.priority.value,
            _what(one),
            one.job.created_by,
            one.starts_at or one.why_unknown or "?",
            one.ends_at or "?",
        ]
        for one in found.waiting
    ]
    print_table([_("job"), _("place"), _("state"), _("what"), _("by"), _("starts"), _("ends")], rows)
    workers: list[list[object]] = [
        [
            f"{worker.name}@{worker.host}",
            _("alive") if worker.is_alive else _("silent"),
            ", ".join(worker.queues),
            worker.places,
            ", ".join(device.name for device in worker.devices),
        ]
        for worker in found.workers
    ]
    print_table([_("worker"), _("state"), _("queues"), _("places"), _("devices")], workers)
