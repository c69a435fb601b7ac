"""A mapping as a document: as it is stored, sent by REST, and written to files. Its version counts with its form."""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.core.errors import Invalid
from app.dialogue.labels import LABELS
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.mapping.model import REQUIRED, DialogueMapping, Others, Side, Turns
from app.interchange.sentences.problems import RecordRefused
from app.invalid import WrongValue, wrong_fields
from app.sentences import N_

NAME_CHARACTERS: Final = 80
MAX_BYTES: Final = 256 * 1024
_NO_COLUMN: Final = N_("The mapping does not say which column is “%(name)s”. Choose it.")


class MappingDocument(BaseModel):
    """How the records of a file become dialogues. Fields are named by their column or key; those inside of others with
    points (`data.turns`). Empty where nothing is meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = Field(default=1, description="Of the form of this document.")
    turns: Turns = Field(
        description="What a record is: one turn (rows), a dialogue with a list of turns (list), a question with its "
        "answer (pairs), a dialogue written in one text (text)."
    )
    conversation: str = Field(
        default="", max_length=200, description="rows: tells the dialogues apart; empty: all rows are one."
    )
    order: str = Field(
        default="", max_length=200, description="rows: sorts the turns of a dialogue; empty: as they stand."
    )
    field: str = Field(default="", max_length=200, description="list, text: what holds the turns.")
    side: str = Field(default="", max_length=200, description="rows, list: what tells who speaks.")
    text: str = Field(default="", max_length=200, description="rows, list: what holds the words.")
    question: str = Field(default="", max_length=200, description="pairs: the words of the customer.")
    answer: str = Field(default="", max_length=200, description="pairs: the words of sales.")
    system: str = Field(default="", max_length=200, description="pairs, list: the system prompt, if any.")
    id: str = Field(default="", max_length=200, description="pairs: names the row, for `parent`.")
    parent: str = Field(default="", max_length=200, description="pairs: the id of the row before this one.")
    sides: dict[str, Side] = Field(
        default_factory=dict, max_length=1_000, description="Whose side a value of `side` is."
    )
    others: Others = Field(default="refuse", description="What becomes of values that `sides` does not name.")
    merge: bool = Field(default=False, description="Join turns of one side that follow each other.")
    only_column: str = Field(default="", max_length=200, description="Records are read only where this …")
    only_values: tuple[str, ...] = Field(default=(), max_length=100, description="… has one of these values.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Columns that hold labels: outcome, stage, objection, product …"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in REQUIRED[self.turns]:
            if not getattr(self, name):
                raise WrongValue(_NO_COLUMN, name=name)
        if bool(self.id) != bool(self.parent):
            raise WrongValue(_NO_COLUMN, name="parent" if self.id else "id")
        for label in self.labels:
            if label not in LABELS:
                raise WrongValue(N_("There is no label “%(name)s”."), name=label)
        return self

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """From JSON."""
        return cls.model_validate(dict(document))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what is not said."""
        found: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return {"version": self.version, **found}

    @property
    def mapping(self) -> DialogueMapping:
        """As it is applied."""
        return DialogueMapping(**self.model_dump(exclude={"version"}))


def read_mapping(document: Any) -> MappingDocument:
    """From JSON. Raises Invalid naming the field."""
    try:
        return MappingDocument.model_validate(document)
    except ValidationError as error:
        wrong = wrong_fields(error.errors(), called=None)[0]
        field = f"mapping.{wrong.field}" if wrong.field else "mapping"
        raise Invalid(wrong.sentence.with_values(field=field), field=field) from error


class _PlainYaml(yaml.SafeLoader):
    """YAML that says everything once: parts that stand for other parts grow tenfold a line, and of two values under one
    name the last would win."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As yaml's. Raises Invalid."""
        if self.check_event(yaml.AliasEvent):
            raise Invalid(
                N_("A mapping has no anchors (&) and aliases (*). Write out what they stand for."),
                field="mapping",
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As yaml's. Raises Invalid."""
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            raise Invalid(N_("The mapping has a field twice. Keep one of them."), field="mapping")
        return found


def parse_mapping(text: str) -> MappingDocument:
    """From JSON or YAML in a text. Raises Invalid."""
    if len(text.encode()) > MAX_BYTES:
        raise Invalid(N_("The mapping is too long to be one."), field="mapping")
    try:
        document = (
            StrictJson(ImportLimits()).parse(text, 1)
            if text.lstrip()[:1] == "{"
            else yaml.load(text, _PlainYaml)  # noqa: S506 - a safe loader
        )
        # What only YAML can say, dates above all, is none of a mapping's.
        document = json.loads(json.dumps(document))
    except (RecordRefused, yaml.YAMLError, TypeError, ValueError, RecursionError):
        raise Invalid(N_("The mapping is neither valid JSON nor valid YAML."), field="mapping") from None
    if not isinstance(document, dict):
        raise Invalid(N_("A mapping is an object with “turns” and the columns it reads."), field="mapping")
    return read_mapping(document)
