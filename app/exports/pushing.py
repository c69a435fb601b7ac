"""Rules of pushes: an export's files go to a repository of a model hub, private unless somebody says otherwise.

The token is the server's, in its environment, and never stored. What holds dialogues is not pushed: nobody could erase it there.
"""

from collections.abc import Sequence
from typing import Final

from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.core.errors import Conflict, NotFound
from app.core.settings import Settings
from app.exports.hub import read_repository
from app.exports.kinds import BY_NAME
from app.exports.models import HubPush, RunExport
from app.exports.service import require_export, require_files
from app.exports.work import PushPayload
from app.jobs.models import Job, JobKind, StopRequest
from app.jobs.service import enqueue_with, require_job
from app.jobs.stopping import request_stop
from app.sentences import N_

TOKEN_SETTING: Final = "SFT_STUDIO_HUB_TOKEN"  # noqa: S105 - the name, not the token


def may_be_pushed(kind: str) -> bool:
    """Whether exports of this kind hold no dialogues."""
    return kind in BY_NAME and not BY_NAME[kind].carries_data


def start_push(
    session: Session, settings: Settings, actor: Actor, export: RunExport, repository: str, *, private: bool
) -> tuple[HubPush, Job]:
    """Promise that the files will be there. What is under way to the same repository is returned instead.

    Raises Invalid for a wrong name, Conflict where the server has no token, the export has no files or holds dialogues.
    """
    if not settings.hub_token.get_secret_value():
        raise Conflict(
            N_(
                "This server pushes to no hub: whoever runs it names a token in %(setting)s, for web and workers. With your own token "
                "“sft-studio export --push” does it from your machine."
            ),
            setting=TOKEN_SETTING,
        )
    if not may_be_pushed(export.kind):
        raise Conflict(
            N_(
                "“%(kind)s” has dialogues among its files, which nobody could erase on a hub. Push the adapter, the merged model "
                "or the GGUF."
            ),
            kind=export.kind,
        )
    wanted = read_repository(repository)
    require_files(session, export)
    for push, job in pushes_of(session, [export.id or 0]).get(export.id or 0, []):
        if push.repository == wanted and not job.is_final:
            return push, job
    push, job = enqueue_with(
        session,
        JobKind.PUSH,
        lambda job_id: HubPush(
            export_id=export.id or 0, repository=wanted, private=private, job_id=job_id, **actor.who.columns()
        ),
        lambda push_id: PushPayload(push_id=push_id),
        created_by=actor.who,
    )
    record(session, actor, "run.push", f"run/{export.run_id} {export.kind}: {wanted}")
    return push, job


def require_push(session: Session, push_id: int) -> tuple[HubPush, Job]:
    """The push with its job, or NotFound."""
    found = session.get(HubPush, push_id)
    if found is None:
        raise NotFound(N_("There is no push %(id)d."), id=push_id)
    return found, require_job(session, found.job_id)


def pushes_of(session: Session, export_ids: Sequence[int]) -> dict[int, list[tuple[HubPush, Job]]]:
    """By export, its pushes with their jobs, newest first; without those that have none."""
    found: dict[int, list[tuple[HubPush, Job]]] = {}
    statement = (
        select(HubPush, Job)
        .join(Job, col(HubPush.job_id) == col(Job.id))
        .where(col(HubPush.export_id).in_(export_ids))
        .order_by(col(HubPush.id).desc())
    )
    for push, job in session.exec(statement):
        found.setdefault(push.export_id, []).append((push, job))
    return found


def stop_push(session: Session, actor: Actor, push_id: int) -> tuple[HubPush, Job]:
    """Ask it to end before anything can be seen of it. Raises Conflict for one that has ended."""
    push, job = require_push(session, push_id)
    job = request_stop(session, job.id or 0, StopRequest.CANCEL)
    export = require_export(session, push.export_id)
    record(session, actor, "run.push_cancel", f"run/{export.run_id} {export.kind}: {push.repository}")
    return push, job
