"""`worker`: one more worker, on this machine or another with the same database. `migrate`: the schema."""

import os
from typing import Annotated, Final

import typer

from app.cli.options import JsonOption
from app.core.console import CommandFailed, load_settings, print_json, say
from app.core.i18n import gettext as _
from app.core.migrations import current_revision

# As in app.jobs.bell, which is not imported before it is needed: it loads Celery.
KNOWN_QUEUES: Final = ("default", "interactive", "training")


def worker(
    queues: Annotated[
        str, typer.Option("--queues", help=_("Queues to serve, separated by commas."))
    ] = ",".join(KNOWN_QUEUES),
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=64, help=_("Jobs at the same time."))
    ] = 2,
    name: Annotated[str, typer.Option("--name", help=_("Name of the worker in its log."))] = "worker",
) -> None:
    """Command `worker`."""
    wanted = [queue.strip() for queue in queues.split(",") if queue.strip()]
    unknown = [queue for queue in wanted if queue not in KNOWN_QUEUES]
    if unknown or not wanted:
        raise CommandFailed(
            _("There is no queue “%(name)s”. Name some of: %(known)s.")
            % {"name": ", ".join(unknown) or queues, "known": ", ".join(KNOWN_QUEUES)}
        )
    from app.serving import preflight
    from app.serving.worker_process import run_worker

    settings = load_settings()
    preflight.check_data_folder(settings.data_dir)
    preflight.check_disk(settings.data_dir)
    engine = preflight.open_database(settings)
    preflight.check_schema(engine)
    engine.dispose()
    preflight.check_broker(settings)
    preflight.tell_of_trackers(settings)
    # Celery loads the worker later, in this process: it must mean the same folder whatever the current one is then.
    os.environ["SFT_STUDIO_DATA"] = str(settings.data_dir)
    run_worker(",".join(wanted), concurrency, name)


def migrate(as_json: JsonOption = False) -> None:
    """Command `migrate`."""
    from app.serving import preflight

    settings = load_settings()
    preflight.check_data_folder(settings.data_dir)
    engine = preflight.open_database(settings)
    preflight.migrate(engine)
    revision = current_revision(engine)
    engine.dispose()
    say(_("The database is up to date (revision %(revision)s).") % {"revision": revision})
    if as_json:
        print_json({"revision": revision})
