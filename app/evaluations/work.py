"""The job that evaluates, as the web, the worker and its child speak of it; each answer is an event. Loads no database."""

from typing import Any

from pydantic import BaseModel, Field

from app.dialogue.documents import Message
from app.evaluations.documents import CaseLimits, Measurements
from app.jobs.events import Side
from app.jobs.work import JobInput, JobPayload
from app.masking import Argument


class EvaluatePayload(JobPayload):
    """Which evaluation, and how much of its suite."""

    evaluation_id: int
    limits: CaseLimits = Field(default_factory=CaseLimits)


class PromptInput(BaseModel):
    """What is asked; `key` names the prompt within its suite."""

    key: str
    messages: list[Message]


class SuiteInput(BaseModel):
    """The prompts of a suite. What makes a good answer stays with those who judge."""

    name: str
    prompts: list[PromptInput]


class GenerationInput(BaseModel):
    """At most so many tokens an answer; so many prompts at a time, or as many as the child thinks best."""

    max_new_tokens: int = Field(ge=1)
    batch_size: int | None = Field(default=None, ge=1)


class EvaluateInput(JobInput):
    """Folders of model and adapter, the arrays with the held-out split where there are any, what is asked and how.

    `template_arguments` are those of the training.
    """

    base_model_path: str
    adapter_path: str
    arrays: str | None = None
    suite: SuiteInput
    template_arguments: dict[str, Argument] = Field(default_factory=dict)
    generation: GenerationInput
    limits: CaseLimits = Field(default_factory=CaseLimits)


class HeldOut(BaseModel):
    """What the losses were measured on."""

    conversations: int = 0
    trained_tokens: int = 0


class EvaluateResult(Measurements):
    """What was measured, and how much was answered, by side; `seconds` by what they were spent on."""

    held_out: HeldOut = Field(default_factory=HeldOut)
    prompts: int = 0
    answers: dict[Side, int] = Field(default_factory=dict)
    generated_tokens: dict[Side, int] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """What was no number is null by now, and a pair of which one is missing tells nothing."""
        broken = [
            name for name in ("held_out_loss", "perplexity") if None in (document.get(name) or {}).values()
        ]
        return {**document, **dict.fromkeys(broken)}
