"""The job that answers in the playground, as the web, the worker and its warm child speak of it. Loads no database."""

from typing import Self

from pydantic import BaseModel, Field

from app.dialogue.documents import Message
from app.jobs.events import SIDES, Side
from app.jobs.work import JobInput, JobPayload
from app.masking import Argument


class ChatOptions(BaseModel):
    """Who answers, and how: a run's model, its base or both (each may have a dialogue of its own, so they can be asked one
    by one); `temperature` 0 takes the likeliest token each time."""

    run_id: int
    sides: list[Side] = Field(default_factory=lambda: list(SIDES))
    max_new_tokens: int = 200
    temperature: float = 0.0


class ChatPayload(JobPayload, ChatOptions):
    """What was asked, as it was read."""

    messages: list[Message] = Field(default_factory=list)


class ChatRequest(JobInput):
    """What the warm child is asked. `id` names the request in its events; the tuned side needs an adapter.

    `temperature` 0 takes the likeliest token each time; with `seed` others are the same each time too.
    """

    id: str = ""
    base_model_path: str
    adapter_path: str | None = None
    messages: list[Message] = Field(default_factory=list)
    template_arguments: dict[str, Argument] = Field(default_factory=dict)
    max_new_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    sides: list[Side] = Field(default_factory=list)

    def of(self, request_id: str) -> Self:
        """The same under a name of its own, with the sides that can be asked where none were chosen."""
        sides = self.sides or list(SIDES if self.adapter_path else SIDES[:1])
        return self.model_copy(update={"id": request_id, "sides": sides})
