"""Erasing a conversation for privacy: out of the dataset, every version, their mask checks, exports of runs with data, chats.

The conversation goes first, so that no new version can take it in; then each version is written anew outside any
transaction, and its row, its checks and its files change together. What was stopped half-way goes on when it is asked
for again: what a version still holds is told by its file.
"""

import logging
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.conversations.models import Conversation
from app.core.database import cut_back_log, reading, transaction
from app.core.errors import Conflict
from app.core.storage import Storage
from app.core.transactions import after_commit
from app.datasets.operations import refuse_under_way
from app.erasure.chats import delete_chats
from app.erasure.holders import find_holders
from app.erasure.schemas import Holders
from app.evaluations.models import Evaluation
from app.exports.models import RunExport
from app.exports.service import remove, with_data_of
from app.jobs.models import Job, JobKind
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import redo
from app.mask_checks.work import CheckPayload
from app.runs.models import Run
from app.runs.samples import forget_samples
from app.runs.service import trains_on
from app.sentences import N_
from app.versions.redaction import Rewritten, redact, rewrite
from app.versions.service import require_version

logger = logging.getLogger(__name__)
ARRAYS: Final = "arrays.safetensors"


def erase(engine: Engine, storage: Storage, actor: Actor, conversation_id: int) -> Holders:
    """Take the conversation out of all that holds it, for good; what held it before.

    Runs keep their weights and the hash of what they were trained on. Raises NotFound where nothing holds it, Conflict
    while something works on one of its versions or a version's file is not what was frozen.
    """
    holders = holders_now(engine, storage, conversation_id)
    with transaction(engine) as session:
        refuse_work_under_way(session, holders.version_ids)
        _remove_row(session, actor, conversation_id)
        delete_chats(session, holders.chat_ids)
    for version_id in holders.version_ids:
        rewrite_version(engine, storage, actor, version_id, conversation_id)
    with engine.connect() as connection:
        cut_back_log(connection)
    return holders


def rewrite_version(
    engine: Engine, storage: Storage, actor: Actor, version_id: int, conversation_id: int | None
) -> None:
    """Take the conversation, or for None all of them, out of a version and what was made of it. Raises Conflict."""
    with reading(engine) as session:
        version = require_version(session, version_id)
    rewritten = rewrite(storage, version, conversation_id)
    if rewritten.content_hash == rewritten.old_hash:
        return  # an erasure that goes on after it was stopped has been here
    with transaction(engine) as session:
        refuse_work_under_way(session, [version_id])
        _replace(session, storage, actor, version_id, rewritten)
        forget_samples(session, [version_id], conversation_id)


def holders_now(engine: Engine, storage: Storage, conversation_id: int) -> Holders:
    """As find_holders, with a session of its own."""
    with reading(engine) as session:
        return find_holders(session, storage, conversation_id)


def _remove_row(session: Session, actor: Actor, conversation_id: int) -> None:
    row = session.get(Conversation, conversation_id)
    if row is None:
        return
    refuse_under_way(session, row.dataset_id)
    session.delete(row)
    record(session, actor, "conversation.erase", f"conversation/{conversation_id}")


def refuse_work_under_way(session: Session, version_ids: list[int]) -> None:
    """What reads a version's file or arrays must be over before they change."""
    checks = select(MaskCheck.job_id).where(col(MaskCheck.dataset_version_id).in_(version_ids))
    runs = select(Run.job_id).where(trains_on(version_ids))
    judged = select(Evaluation.job_id).join(Run).where(trains_on(version_ids))
    exported = select(RunExport.job_id).join(Run).where(trains_on(version_ids))
    for statement in (checks, runs, judged, exported):
        jobs = session.exec(select(Job).where(col(Job.id).in_(statement)))
        if any(not job.is_final for job in jobs):
            raise Conflict(
                N_(
                    "A run, an evaluation, an export or a mask check works with a version that holds what is to be erased. Wait "
                    "for its end or stop it, then erase again."
                )
            )


def _replace(session: Session, storage: Storage, actor: Actor, version_id: int, rewritten: Rewritten) -> None:
    unused = redact(session, version_id, rewritten, actor)
    checks = session.exec(select(MaskCheck).where(MaskCheck.dataset_version_id == version_id)).all()
    made_by = _jobs_of(session, [check.id or 0 for check in checks])
    for check in checks:
        redo(session, check, actor)
    # They can be made again, from what is left.
    remove(session, storage, [export for export, _job in with_data_of(session, [version_id])])
    after_commit(session, lambda: _remove_files(storage, unused, made_by))


def _jobs_of(session: Session, check_ids: Iterable[int]) -> list[int]:
    """Every job that ever made arrays for these checks."""
    wanted = set(check_ids)
    jobs = session.exec(select(Job.id, Job.payload).where(col(Job.kind) == JobKind.CHECK_MASKS)).all()
    return [
        job_id for job_id, payload in jobs if job_id and CheckPayload.stored(payload).mask_check_id in wanted
    ]


def _remove_files(storage: Storage, version_key: str | None, job_ids: list[int]) -> None:
    paths = [storage.path(version_key)] if version_key else []
    for job_id in job_ids:
        paths += sorted(storage.path(f"jobs/{job_id}").glob(f"**/{ARRAYS}"))
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            logger.exception("could not remove %s, which holds an erased conversation", path)
