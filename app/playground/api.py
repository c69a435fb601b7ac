"""REST for chat with base and tuned: start an answer, then read its job's events."""

from pydantic import BaseModel, ConfigDict

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations.dialogue_schemas import MessagesIn
from app.core.routing import Router
from app.core.web import AppStorage, Db
from app.jobs.events import SIDES, Side
from app.jobs.schemas import JobOut
from app.playground import service

router = Router(prefix="/api/v1/playground", tags=["playground"])


class ChatIn(BaseModel):
    """A dialogue that ends with the user's message."""

    model_config = ConfigDict(extra="forbid")

    run_id: int
    messages: MessagesIn
    max_new_tokens: int = 200
    temperature: float = 0.0
    # Each side may have a history of its own, so they can be asked one by one.
    sides: tuple[Side, ...] = SIDES


@router.post("/answers", status_code=202)
@needs(Permission.PLAYGROUND_USE)
def ask(session: Db, storage: AppStorage, actor: CurrentActor, body: ChatIn) -> JobOut:
    """Ask both models. Follow `/api/v1/jobs/{id}/events` for `delta` events per side."""
    job = service.ask(
        session,
        storage,
        actor,
        run_id=body.run_id,
        messages=body.messages,
        max_new_tokens=body.max_new_tokens,
        temperature=body.temperature,
        sides=body.sides,
    )
    return JobOut.of(job)


@router.delete("/answers/{job_id}", status_code=204)
@needs(Permission.PLAYGROUND_USE)
def forget(session: Db, actor: CurrentActor, job_id: int) -> None:
    """Delete a question and its answers, which end by themselves after a while as well."""
    service.forget(session, actor, job_id)
