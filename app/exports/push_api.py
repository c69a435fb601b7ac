"""REST for pushing exports to a model hub."""

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import AppSettings, Db
from app.exports import pushing, service
from app.exports.schemas import PushIn, PushOut

router = Router(prefix="/api/v1", tags=["exports"])


@router.post("/exports/{export_id}/pushes", status_code=202)
@needs(Permission.RUN_PUSH)
def start_push(
    session: Db, settings: AppSettings, actor: CurrentActor, export_id: int, body: PushIn
) -> PushOut:
    """Push the files, model card among them, to a repository of the hub, with the token in the server's environment. The repository is
    made where there is none. What is under way to it is returned. 409 where the server has no token.
    """
    export = service.require_export(session, export_id)
    return PushOut.of(
        *pushing.start_push(session, settings, actor, export, body.repository, private=body.private)
    )


@router.get("/exports/{export_id}/pushes")
@needs(Permission.RUN_READ)
def list_pushes(session: Db, export_id: int) -> list[PushOut]:
    """Pushes of an export, newest first."""
    service.require_export(session, export_id)
    found = pushing.pushes_of(session, [export_id]).get(export_id, [])
    return [PushOut.of(push, job) for push, job in found]


@router.get("/pushes/{push_id}")
@needs(Permission.RUN_READ)
def get_push(session: Db, push_id: int) -> PushOut:
    """One push."""
    return PushOut.of(*pushing.require_push(session, push_id))


@router.post("/pushes/{push_id}/stop")
@needs(Permission.RUN_PUSH)
def stop_push(session: Db, actor: CurrentActor, push_id: int) -> PushOut:
    """Cancel a push. What was uploaded is not seen on the hub; a repository that was made for it stays."""
    return PushOut.of(*pushing.stop_push(session, actor, push_id))
