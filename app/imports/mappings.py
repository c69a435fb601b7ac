"""Mappings kept under a name."""

from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.core.database import utc_now
from app.core.errors import Invalid, NotFound
from app.imports.mapping_document import NAME_CHARACTERS, MappingDocument
from app.imports.models import ImportMapping
from app.interchange.mapping.sample import Sample
from app.interchange.mapping.trying import Upload
from app.interchange.sentences.problems import RecordRefused
from app.sentences import N_


def take_sample(upload: Upload) -> Sample:
    """What a file holds. Raises Invalid for one in which no records are found."""
    try:
        return upload.sample()
    except RecordRefused as refused:
        raise Invalid(refused.as_problem().sentence, field="file", code=refused.code) from refused


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
    name = require_name(name)
    found = session.exec(select(ImportMapping).where(ImportMapping.name == name)).first()
    if found is None:
        found = ImportMapping(name=name, document=document, **actor.who.columns())
    found.document, found.updated_at = document, utc_now()
    session.add(found)
    session.flush()
    record(session, actor, "import_mapping.keep", f"import_mapping/{found.id}")
    return found


def require_name(name: str) -> str:
    """The name without blanks around it. Raises Invalid for one that cannot be the name of a mapping."""
    name = name.strip()
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable() or name[0] in "{[":
        raise Invalid(
            N_("The name of a mapping has 1 to %(limit)d characters and begins with no bracket."),
            field="name",
            limit=NAME_CHARACTERS,
        )
    return name


def remove_mapping(session: Session, actor: Actor, name: str) -> None:
    """Forget it; what was imported by it stays. Raises NotFound."""
    found = require_mapping(session, name)
    record(session, actor, "import_mapping.remove", f"import_mapping/{found.id}")
    session.delete(found)
