"""The settings of a mask, each spelled once: forms, addresses, REST, commands, reports and words follow from here.

A new one is a field of `app.masking.MaskSettings`, the place in masking where it acts, a field here and its Chinese.
Loads no database, for the `masks` commands read this too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final, Self, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
)
from pydantic.fields import FieldInfo

from app.core.errors import Invalid
from app.core.i18n import gettext
from app.mask_settings.arguments import as_fields, read_arguments, typed_arguments
from app.masking import ControlTokenPolicy, Handling, MaskingError, MaskSettings, TrainOn
from app.sentences import N_

MOST_TOKENS: Final = 1_000_000


@dataclass(frozen=True)
class Word:
    """A value in words; `hint` is a sentence on it."""

    label: str
    hint: str = ""


@dataclass(frozen=True)
class Spelling:
    """What a field is called and what its values mean, as translation keys.

    `options` are its names on the command line, without any `--train-on` for `train_on`; a switch's have two sides.
    `always_said`: even in one line, where the others are named when they are not at their default.
    """

    label: str
    help: str
    words: Mapping[str, Word] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    always_said: bool = False


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """The help is the field's description in the OpenAPI document."""
    for name, info in model.model_fields.items():
        schema["properties"][name]["description"] = _spelling(info).help


def _spelling(info: FieldInfo) -> Spelling:
    (found,) = (item for item in info.metadata if isinstance(item, Spelling))
    return found


class MaskSettingsIn(BaseModel):
    """What is trained and how conversations become samples. Absent fields take their defaults."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_describe)

    train_on: Annotated[
        TrainOn,
        Spelling(
            N_("Strategy"),
            N_("Which turns are trained."),
            {
                "assistant": Word(
                    N_("Every assistant turn"), N_("Recommended: the model learns every answer.")
                ),
                "last_assistant": Word(
                    N_("Last assistant turn only"), N_("Only the final answer of each conversation.")
                ),
                "content": Word(
                    N_("All text, no template tokens (experimental)"), N_("Also learns what customers say.")
                ),
                "all": Word(
                    N_("Everything, no mask (not recommended)"),
                    N_("Also learns to write headers and markers."),
                ),
            },
            options=("--train-on", "--strategy"),
            always_said=True,
        ),
    ] = MaskSettings.train_on
    handling: Annotated[
        Handling,
        Spelling(
            N_("Samples"),
            N_("How many samples a conversation becomes."),
            {
                "whole": Word(N_("Whole conversation")),
                "per_turn": Word(N_("One sample per assistant turn")),
                "sliding_window": Word(N_("Sliding windows")),
            },
            always_said=True,
        ),
    ] = MaskSettings.handling
    max_length: Annotated[
        Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None,
        Spelling(
            N_("Length limit"),
            N_("The most tokens of a sample; without it a check cuts at what the base model reads."),
        ),
    ] = MaskSettings.max_length
    control_tokens: Annotated[
        ControlTokenPolicy,
        Spelling(
            N_("Control tokens in messages"),
            N_("Control tokens spelled in a message: keep them as text, or refuse it."),
            {
                "neutralise": Word(N_("Keep as ordinary text")),
                "refuse": Word(N_("Refuse the conversation")),
            },
        ),
    ] = MaskSettings.control_tokens
    train_reasoning: Annotated[
        bool,
        Spelling(
            N_("Thinking"),
            N_("Train the thinking before an answer too."),
            {"true": Word(N_("Trained")), "false": Word(N_("Context only"))},
            options=("--train-reasoning/--no-train-reasoning", "--reasoning/--no-reasoning"),
        ),
    ] = MaskSettings.train_reasoning
    template_arguments: Annotated[
        dict[str, StrictBool | StrictInt | StrictFloat | StrictStr],
        Spelling(
            N_("Arguments of the template"),
            N_("An argument of the chat template, such as enable_thinking=false. May be repeated."),
            options=("--template-argument",),
        ),
    ] = Field(default_factory=dict)

    def to_settings(self) -> MaskSettings:
        """As masking knows them. Raises Invalid naming the field."""
        try:
            return MaskSettings(**self.model_dump())
        except MaskingError as error:
            field = error.sentence.values.get("field")
            raise Invalid(error.sentence, field=str(field) if field else None) from error

    @classmethod
    def of(cls, settings: MaskSettings) -> Self:
        """The inverse of `to_settings`."""
        return cls.model_validate(settings.to_dict())

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """From what `to_json` wrote, before some settings existed too."""
        return cls.model_validate(document)

    def to_json(self) -> dict[str, Any]:
        """As they are stored: settings that came later only where they are not at their default."""
        return self.to_settings().to_dict()


class Kind(StrEnum):
    """How a setting is asked for."""

    CHOICE = "choice"
    # A whole number, or nothing for no limit.
    NUMBER = "number"
    # Names with values; in forms and addresses a field `argument.NAME` each.
    ARGUMENTS = "arguments"


@dataclass(frozen=True)
class MaskField:
    """One setting as every door asks for it and every report says it."""

    name: str
    annotation: Any
    default: Any
    kind: Kind
    label: str
    help: str
    words: Mapping[str, Word]
    options: tuple[str, ...]
    always_said: bool

    @classmethod
    def of(cls, name: str, info: FieldInfo) -> Self:
        """From a field of MaskSettingsIn."""
        spelling = _spelling(info)
        kind = Kind.ARGUMENTS if get_origin(info.annotation) is dict else Kind.NUMBER
        return cls(
            name=name,
            annotation=info.annotation,
            default=info.get_default(call_default_factory=True),
            kind=Kind.CHOICE if spelling.words else kind,
            label=spelling.label,
            help=spelling.help,
            words=spelling.words,
            options=spelling.options or (f"--{name.replace('_', '-')}",),
            always_said=spelling.always_said,
        )

    @property
    def has_hints(self) -> bool:
        """Whether its values come with a sentence each."""
        return any(word.hint for word in self.words.values())

    def of_settings(self, settings: MaskSettings) -> Any:
        """The setting's value."""
        return getattr(settings, self.name)

    def is_usual(self, settings: MaskSettings) -> bool:
        """Whether it is at its default."""
        value = self.of_settings(settings)
        return not value if self.kind is Kind.ARGUMENTS else bool(value == self.default)

    def as_fields(self, settings: MaskSettings) -> dict[str, str]:
        """As forms and addresses carry it."""
        value = self.of_settings(settings)
        if self.kind is Kind.ARGUMENTS:
            return as_fields(value)
        return {self.name: written(value)}


def written(value: Any) -> str:
    """A choice or a number as forms and addresses write it; no limit is the empty text."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


MASK_FIELDS: Final = tuple(MaskField.of(name, info) for name, info in MaskSettingsIn.model_fields.items())
MASK_FIELD_NAMES: Final = frozenset(MaskSettingsIn.model_fields)
_BY_NAME: Final[Mapping[str, MaskField]] = {one.name: one for one in MASK_FIELDS}


def field_named(name: str) -> MaskField:
    """One of the settings."""
    return _BY_NAME[name]


def parse_settings(values: Mapping[str, Any]) -> MaskSettings:
    """Mask settings from plain values; absent ones take their defaults. Raises Invalid naming what is wrong."""
    try:
        return MaskSettingsIn.model_validate(values).to_settings()
    except ValidationError as error:
        raise _invalid(error) from error


def read_settings(fields: Mapping[str, Any]) -> MaskSettings:
    """The settings among the fields of a form or an address; absent and emptied ones take their defaults.

    Raises Invalid naming the first field that is wrong.
    """
    values: dict[str, Any] = {}
    for one in MASK_FIELDS:
        if one.kind is Kind.ARGUMENTS:
            values[one.name] = read_arguments(typed_arguments(fields))
        elif text := str(fields.get(one.name) or "").strip():
            values[one.name] = text
    return parse_settings(values)


def write_settings(settings: MaskSettings, *, usual_too: bool = True) -> dict[str, str]:
    """The inverse of `read_settings`; an address does without those at their default (`usual_too=False`)."""
    found: dict[str, str] = {}
    for one in MASK_FIELDS:
        if usual_too or not one.is_usual(settings):
            found |= one.as_fields(settings)
    return found


def _invalid(error: ValidationError) -> Invalid:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    known = _BY_NAME.get(name)
    if known is None:
        return Invalid(N_("There is no mask setting “%(name)s”."), field=name, name=name)
    label = gettext(known.label)
    if known.kind is Kind.CHOICE:
        names = ", ".join(known.words)
        return Invalid(N_("%(label)s: choose one of %(names)s."), field=name, label=label, names=names)
    if known.kind is Kind.NUMBER:
        return Invalid(
            N_("%(label)s: enter a whole number from 1 to %(most)d, or nothing for no limit."),
            field=name,
            label=label,
            most=MOST_TOKENS,
        )
    return Invalid(
        N_("%(label)s: give names with values that are true, false, numbers or text."),
        field=name,
        label=label,
    )
