"""What REST reads and writes for mask previews."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from app.conversations.dialogue_schemas import MessagesIn, ToolsIn
from app.mask_settings.arguments import Offered
from app.mask_settings.fields import MaskSettingsIn
from app.mask_settings.tokenizers import MAX_TEMPLATE_CHARACTERS
from app.masking import TrainOn
from app.previews.service import ComparedSample

Role = Literal["system", "user", "assistant", "tool", "template"]


_NOTHING: dict[str, Any] = {"type": "null"}
# One of the two, never both; a version has stored conversations only.
_ONE_SUBJECT: dict[str, Any] = {
    "oneOf": [
        {
            "required": ["conversation_id"],
            "properties": {"conversation_id": {"type": "integer"}, "messages": _NOTHING},
        },
        {
            "required": ["messages"],
            "properties": {
                "messages": {"type": "array"},
                "conversation_id": _NOTHING,
                "dataset_version_id": _NOTHING,
            },
        },
    ]
}


class PreviewIn(BaseModel):
    """What to preview: a stored conversation's id, with a version its frozen copy, or messages of one's own."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_ONE_SUBJECT)

    base_model_id: int
    conversation_id: int | None = None
    # The conversation as this version froze it, whatever became of it since.
    dataset_version_id: int | None = None
    messages: MessagesIn = None
    # What the assistant may call, with messages of one's own.
    tools: ToolsIn = None
    settings: MaskSettingsIn = Field(default_factory=MaskSettingsIn)
    # A template to try instead of the model's own.
    chat_template: str | None = Field(default=None, max_length=MAX_TEMPLATE_CHARACTERS)
    # The date that a template which writes one sees; absent: now.
    moment: datetime | None = None


class OtherMaskIn(BaseModel):
    """The mask to compare with. What is absent is as on the other side; a model brings its own template."""

    model_config = ConfigDict(extra="forbid")

    base_model_id: int | None = None
    settings: MaskSettingsIn | None = None
    chat_template: str | None = Field(default=None, max_length=MAX_TEMPLATE_CHARACTERS)


class CompareIn(PreviewIn):
    """A preview and what to compare it with."""

    other: OtherMaskIn


class TokenOut(BaseModel):
    """A token; `start` and `end` are offsets into `text`, in characters."""

    index: int
    id: int
    text: str
    start: int
    end: int
    trained: bool
    role: Role
    turn: int | None
    special: bool


class CheckOut(BaseModel):
    """One of the nine checks; `token` is where to look when it failed."""

    name: str
    passed: bool
    detail: str
    token: int | None


class PreviewOut(BaseModel):
    """One sample as the trainer would see it; `cut_tokens` lie beyond the length limit."""

    text: str
    strategy: TrainOn
    tokens: list[TokenOut]
    cut_tokens: list[TokenOut]
    trained: int
    skipped: int
    truncated: int
    checks: list[CheckOut]


class ComparedOut(BaseModel):
    """One sample beside the other side's sample of the same turns; `missing` where that side makes none.

    The lists hold indices of this side's tokens. Under two tokenizers the characters of a turn are compared
    (`same_tokens` is false).
    """

    turns: list[int]
    missing: bool
    same_tokens: bool
    trained: int
    other_trained: int | None
    only_here: list[int]
    only_there: list[int]

    @classmethod
    def of(cls, compared: ComparedSample) -> Self:
        """From the compared samples."""
        here, there, difference = compared.here, compared.there, compared.difference
        return cls(
            turns=list(here.part.numbers),
            missing=there is None,
            same_tokens=difference.same_tokens,
            trained=here.trained,
            other_trained=None if there is None else there.trained,
            only_here=difference.places_only_here,
            only_there=difference.places_only_there,
        )


class ArgumentOut(BaseModel):
    """An argument that a chat template reads; `words` are texts that it compares the argument with."""

    name: str
    is_switch: bool
    words: list[str]

    @classmethod
    def of(cls, offered: Offered) -> Self:
        """From what the template does with it."""
        return cls(name=offered.name, is_switch=offered.is_switch, words=list(offered.words))
