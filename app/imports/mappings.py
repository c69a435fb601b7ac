"""Mappings kept under a name, and mappings as people hand them in: by that name, or as a document."""

import json
from typing import Any, Final

import yaml
from pydantic import ValidationError
from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.core.database import utc_now
from app.core.errors import Invalid, NotFound
from app.imports.mapping_document import NAME_CHARACTERS, MappingDocument
from app.imports.models import ImportMapping
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.sentences.problems import RecordRefused
from app.invalid import wrong_fields
from app.sentences import N_

MAX_BYTES: Final = 256 * 1024


def list_mappings(session: Session) -> list[ImportMapping]:
    """All of them, by name."""
    return list(session.exec(select(ImportMapping).order_by(col(ImportMapping.name))))


def require_mapping(session: Session, name: str) -> ImportMapping:
    """The mapping of this name. Raises NotFound."""
    found = session.exec(select(ImportMapping).where(ImportMapping.name == name.strip())).first()
    if found is None:
        raise NotFound(
            N_("There is no mapping called “%(name)s”."), field="mapping", name=name[:NAME_CHARACTERS]
        )
    return found


def keep_mapping(session: Session, actor: Actor, name: str, document: MappingDocument) -> ImportMapping:
    """Keep it under this name, in place of what has the name. Raises Invalid for a name that cannot be one."""
    name = name.strip()
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable() or name[0] in "{[":
        raise Invalid(
            N_("The name of a mapping has 1 to %(limit)d characters and begins with no bracket."),
            field="name",
            limit=NAME_CHARACTERS,
        )
    found = session.exec(select(ImportMapping).where(ImportMapping.name == name)).first()
    if found is None:
        found = ImportMapping(name=name, document=document, **actor.who.columns())
    found.document, found.updated_at = document, utc_now()
    session.add(found)
    session.flush()
    record(session, actor, "import_mapping.keep", f"import_mapping/{found.id}")
    return found


def remove_mapping(session: Session, actor: Actor, name: str) -> None:
    """Forget it; what was imported by it stays. Raises NotFound."""
    found = require_mapping(session, name)
    record(session, actor, "import_mapping.remove", f"import_mapping/{found.id}")
    session.delete(found)


def read_mapping(document: Any) -> MappingDocument:
    """From JSON. Raises Invalid naming the field."""
    try:
        return MappingDocument.model_validate(document)
    except ValidationError as error:
        wrong = wrong_fields(error.errors(), called=None)[0]
        field = f"mapping.{wrong.field}" if wrong.field else "mapping"
        raise Invalid(wrong.sentence.with_values(field=field), field=field) from error


def parse_mapping(text: str) -> MappingDocument:
    """From JSON or YAML in a text. Raises Invalid."""
    if len(text.encode()) > MAX_BYTES:
        raise Invalid(N_("The mapping is too long to be one."), field="mapping")
    try:
        document = (
            StrictJson(ImportLimits()).parse(text, 1) if text.lstrip()[:1] == "{" else yaml.safe_load(text)
        )
        # What only YAML can say, dates above all, is none of a mapping's.
        document = json.loads(json.dumps(document))
    except (RecordRefused, yaml.YAMLError, TypeError, ValueError, RecursionError):
        raise Invalid(N_("The mapping is neither valid JSON nor valid YAML."), field="mapping") from None
    if not isinstance(document, dict):
        raise Invalid(N_("A mapping is an object with “turns” and the columns it reads."), field="mapping")
    return read_mapping(document)
