"""REST for chat with base and tuned: start an answer, then read its job's events."""

from pydantic import ConfigDict

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations.dialogue_schemas import MessagesIn
from app.core.routing import Router
from app.core.web import AppStorage, Db
from app.jobs.schemas import JobOut
from app.playground import service
from app.playground.work import ChatOptions

router = Router(prefix="/api/v1/playground", tags=["playground"])


class ChatIn(ChatOptions):
    """A dialogue that ends with the user's message, and who answers it."""

    model_config = ConfigDict(extra="forbid")

    messages: MessagesIn


@router.post("/answers", status_code=202)
@needs(Permission.PLAYGROUND_USE)
def ask(session: Db, storage: AppStorage, actor: CurrentActor, body: ChatIn) -> JobOut:
    """Ask both models. Follow `/api/v1/jobs/{id}/events` for `delta` events per side."""
    return JobOut.of(service.ask(session, storage, actor, body, body.messages))


@router.delete("/answers/{job_id}", status_code=204)
@needs(Permission.PLAYGROUND_USE)
def forget(session: Db, actor: CurrentActor, job_id: int) -> None:
    """Delete a question and its answers, which end by themselves after a while as well."""
    service.forget(session, actor, job_id)
