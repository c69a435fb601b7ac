"""The part of a run's page that takes it elsewhere. Forms that work without scripts, and swap this part with them."""

from typing import Annotated, Final

from fastapi import Depends, Request, Response
from sqlmodel import Session
from starlette.datastructures import FormData

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.errors import Invalid, NotFound
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import is_htmx, render, see, toast
from app.core.web import AppSettings, AppStorage, Db, posted_form
from app.exports import pushing, service
from app.exports.listing import ExportsOfRun
from app.exports.models import RunExport
from app.runs.service import require_run
from app.sentences import N_

router = Router(prefix="/runs", include_in_schema=False)
_STARTED: Final = N_("The files are being made. You may close the page.")
_STOPPED: Final = N_("Asked to cancel.")
_PUSHED: Final = N_("The files are being pushed. You may close the page.")
_DELETED: Final = N_("The export was deleted.")


def _part(request: Request, session: Session, run_id: int, said: str = "") -> Response:
    """The part as it is now; a browser's own navigation is led to the page that it belongs to."""
    run = require_run(session, run_id)
    if not is_htmx(request):
        return see(f"/runs/{run_id}#exports")
    shown = ExportsOfRun(request.app.state.settings).of_run(session, run)
    response = render(request, "exports/_section.html", {"run": run, **shown})
    if said:
        response.headers.update(toast(gettext(said)))
    return response


def _own(session: Session, run_id: int, export_id: int) -> RunExport:
    export = service.require_export(session, export_id)
    if export.run_id != run_id:
        raise NotFound(N_("There is no export %(id)d."), id=export_id)
    return export


@router.get("/{run_id}/exports", response_model=None)
@needs(Permission.RUN_READ)
def exports_part(request: Request, session: Db, run_id: int) -> Response:
    """What was made and what can be."""
    return _part(request, session, run_id)


@router.post("/{run_id}/exports", response_model=None)
@needs(Permission.RUN_DOWNLOAD)
def start_export(
    request: Request,
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    run_id: int,
    posted: Annotated[FormData, Depends(posted_form)],
) -> Response:
    """Have the files of the chosen kind made; its choices are fields named `choice.…`."""
    fields = {name: str(value) for name, value in posted.items()}
    mark = "choice."
    choices = {name.removeprefix(mark): value for name, value in fields.items() if name.startswith(mark)}
    service.start_export(
        session, storage, actor, require_run(session, run_id), fields.get("kind", ""), choices
    )
    return _part(request, session, run_id, _STARTED)


@router.post("/{run_id}/exports/{export_id}/stop", response_model=None)
@needs(Permission.RUN_DOWNLOAD)
def stop_export(request: Request, session: Db, actor: CurrentActor, run_id: int, export_id: int) -> Response:
    """Cancel what is being made."""
    service.stop_export(session, actor, _own(session, run_id, export_id))
    return _part(request, session, run_id, _STOPPED)


@router.post("/{run_id}/exports/{export_id}/delete", response_model=None)
@needs(Permission.RUN_DOWNLOAD)
def delete_export(
    request: Request, session: Db, storage: AppStorage, actor: CurrentActor, run_id: int, export_id: int
) -> Response:
    """Remove an export with its files."""
    service.delete_export(session, storage, actor, _own(session, run_id, export_id))
    return _part(request, session, run_id, _DELETED)


@router.post("/{run_id}/exports/{export_id}/push", response_model=None)
@needs(Permission.RUN_PUSH)
def push_export(
    request: Request,
    session: Db,
    settings: AppSettings,
    actor: CurrentActor,
    run_id: int,
    export_id: int,
    posted: Annotated[FormData, Depends(posted_form)],
) -> Response:
    """Push its files to `repository` on the hub; only with `public` may everybody see them."""
    export, private = _own(session, run_id, export_id), "public" not in posted
    try:
        pushing.start_push(
            session, settings, actor, export, str(posted.get("repository", "")), private=private
        )
    except Invalid as error:
        raise Invalid(error.relabelled({"repository": N_("Repository")}), field=error.field) from error
    return _part(request, session, run_id, _PUSHED)


@router.post("/{run_id}/exports/{export_id}/pushes/{push_id}/stop", response_model=None)
@needs(Permission.RUN_PUSH)
def stop_push(
    request: Request, session: Db, actor: CurrentActor, run_id: int, export_id: int, push_id: int
) -> Response:
    """Cancel a push that is under way."""
    push, _job = pushing.require_push(session, push_id)
    if push.export_id != _own(session, run_id, export_id).id:
        raise NotFound(N_("There is no push %(id)d."), id=push_id)
    pushing.stop_push(session, actor, push_id)
    return _part(request, session, run_id, _STOPPED)
