"""Rules of the playground: a chat turn is a job whose events are the text as it appears."""

from typing import Any, Final

from sqlmodel import Session

from app.accounts.service import Actor
from app.base_models.service import require_ready
from app.conversations.content import reading
from app.core.errors import Conflict, Invalid, NotFound
from app.core.storage import Storage
from app.dialogue.reading import read_messages
from app.dialogue.roles import Role
from app.jobs.events import SIDES
from app.jobs.models import Job, JobKind
from app.jobs.service import enqueue, require_readable
from app.mask_checks.service import require_mask_check
from app.playground.work import ChatOptions, ChatPayload, ChatRequest
from app.runs.service import adapter_path, require_run
from app.sentences import N_

LONGEST_ANSWER: Final = 1024


def ask(session: Session, storage: Storage, actor: Actor, options: ChatOptions, messages: Any) -> Job:
    """Promise an answer from base, tuned or both. The last message must be the user's.

    Raises Invalid naming the field."""
    run = require_run(session, options.run_id)
    adapter_path(storage, run)
    read = reading(lambda: read_messages(messages))
    if read[-1]["role"] != Role.USER or not read[-1]["content"].strip():
        raise Invalid(N_("Write a message first."), field="message")
    if not 1 <= options.max_new_tokens <= LONGEST_ANSWER:
        raise Invalid(
            N_("max_new_tokens must be between 1 and %(limit)d."),
            field="max_new_tokens",
            limit=LONGEST_ANSWER,
        )
    if not 0 <= options.temperature <= 2:
        raise Invalid(N_("The temperature must be between 0 and 2."), field="temperature")
    if not options.sides:
        raise Invalid(N_("Ask base, tuned, or both."), field="sides")
    payload = ChatPayload(
        run_id=options.run_id,
        sides=[side for side in SIDES if side in options.sides],
        messages=read,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
    )
    return enqueue(session, JobKind.CHAT, payload, created_by=actor.who)


def forget(session: Session, actor: Actor, job_id: int) -> None:
    """Delete a question with its answers. Raises NotFound for what is no chat of one's own, Conflict before its end."""
    job = require_readable(session, job_id, actor)
    if job.kind is not JobKind.CHAT:
        raise NotFound(N_("There is no job %(id)d."), id=job_id)
    if not job.is_final:
        raise Conflict(N_("The answer is being written. Stop it first, then delete it."))
    session.delete(job)


def chat_request(session: Session, storage: Storage, asked: ChatPayload) -> ChatRequest:
    """What the warm child is asked, from a chat job's payload."""
    run = require_run(session, asked.run_id)
    check = require_mask_check(session, run.mask_check_id)
    _model, folder = require_ready(session, run.base_model_id)
    return ChatRequest(
        base_model_path=str(folder),
        adapter_path=str(adapter_path(storage, run)),
        messages=asked.messages,
        template_arguments=check.settings.template_arguments,
        max_new_tokens=asked.max_new_tokens,
        temperature=asked.temperature,
        sides=asked.sides,
    )
