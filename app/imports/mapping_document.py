"""A mapping as a document: as it is stored, sent by REST, and written to files. Its version counts with its form."""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, Self

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from app.core.errors import Invalid
from app.dialogue.labels import LABELS
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.mapping.model import REQUIRED, DialogueMapping
from app.interchange.sentences.problems import RecordRefused
from app.invalid import WrongValue, wrong_fields
from app.sentences import N_

NAME_CHARACTERS: Final = 80
MAX_BYTES: Final = 256 * 1024
_NO_COLUMN: Final = N_("The mapping does not say which column is “%(name)s”. Choose it.")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class MappingDocument(DialogueMapping):
    """How the records of a file become dialogues. Fields are named by their column or key; those inside of others with
    points (`data.turns`). Empty where nothing is meant."""

    version: Literal[1] = Field(default=1, description="Of the form of this document.")

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
    def stored(cls, document: Mapping[str, Any]) -> "MappingDocument":
        """From JSON."""
        return _DOCUMENT.validate_python(dict(document))


_DOCUMENT: Final = TypeAdapter(MappingDocument)


def read_mapping(document: Any) -> MappingDocument:
    """From JSON. Raises Invalid naming the field."""
    try:
        return _DOCUMENT.validate_python(document)
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
