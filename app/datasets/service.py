"""Rules of datasets: their names and descriptions, putting them away."""

from typing import Final

from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.core.database import utc_now
from app.core.errors import Conflict, Invalid, NotFound
from app.core.names import visible_name
from app.datasets import operations
from app.datasets.archives import refuse_archived
from app.datasets.models import Dataset
from app.sentences import N_

MAX_DESCRIPTION: Final = 2000


def require_dataset(session: Session, dataset_id: int) -> Dataset:
    """The dataset, or NotFound."""
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(N_("There is no dataset %(id)d."), id=dataset_id)
    return dataset


def require_writable(session: Session, dataset_id: int) -> Dataset:
    """As require_held; raises Conflict for an archived one."""
    dataset = require_held(session, dataset_id)
    refuse_archived(session, dataset_id)
    return dataset


def require_held(session: Session, dataset_id: int) -> Dataset:
    """The dataset, held against being archived, deleted or imported into by others until this transaction ends.

    Raises NotFound.
    """
    statement = (
        select(Dataset)
        .where(Dataset.id == dataset_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    dataset = session.exec(statement).first()
    if dataset is None:
        raise NotFound(N_("There is no dataset %(id)d."), id=dataset_id)
    return dataset


def find_dataset(session: Session, name: str) -> Dataset | None:
    """The dataset of this name, if any."""
    return session.exec(select(Dataset).where(Dataset.name == name.strip())).first()


def find_holder(session: Session, name: str) -> Dataset | None:
    """Who has this name, also where no reader sees it."""
    statement = select(Dataset).where(Dataset.name == name)
    return session.exec(statement.execution_options(include_hidden=True)).first()


def create_dataset(
    session: Session, actor: Actor, *, name: str, description: str = "", hidden: bool = False
) -> Dataset:
    """An empty dataset. Raises Invalid for a bad name, Conflict for a taken one."""
    dataset = Dataset(
        name=free_name(session, name),
        description=_description(description),
        **actor.who.columns(),
        hidden=hidden,
    )
    session.add(dataset)
    session.flush()
    record(session, actor, "dataset.create", f"dataset/{dataset.id}")
    return dataset


def describe_dataset(
    session: Session,
    actor: Actor,
    dataset: Dataset,
    *,
    name: str | None = None,
    description: str | None = None,
) -> None:
    """Rename, describe anew, or both. Raises as create_dataset, and Conflict for an archived one."""
    assert dataset.id is not None
    require_writable(session, dataset.id)
    if name is not None and name.strip() != dataset.name:
        dataset.name = free_name(session, name)
    if description is not None:
        dataset.description = _description(description)
    session.add(dataset)
    session.flush()
    record(session, actor, "dataset.describe", f"dataset/{dataset.id}")


def free_name(session: Session, name: str) -> str:
    """The name as it is stored. Raises Invalid for a bad one, Conflict for a taken one."""
    name = visible_name(name)
    if not name or len(name) > 80:
        raise Invalid(N_("Enter a name of 1 to 80 characters."), field="name")
    taken = find_holder(session, name)
    if taken and taken.archived_at:
        raise Conflict(
            N_("An archived dataset is named “%(name)s”. Choose another name, or restore it."),
            field="name",
            name=name,
        )
    if taken and taken.hidden:
        raise Conflict(
            N_("An import is just making a dataset named “%(name)s”. Try again in a moment."),
            field="name",
            name=name,
        )
    if taken:
        raise Conflict(N_("There is already a dataset named “%(name)s”."), field="name", name=name)
    return name


def _description(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_DESCRIPTION:
        raise Invalid(
            N_("The description is longer than %(limit)d characters."),
            field="description",
            limit=MAX_DESCRIPTION,
        )
    return text


def archive_dataset(session: Session, actor: Actor, dataset_id: int) -> Dataset:
    """Make it read-only and take it out of the lists. Archiving it again changes nothing.

    Raises Conflict while it is being changed as a whole.
    """
    dataset = require_dataset(session, dataset_id)
    if dataset.archived_at is None:
        require_writable(session, dataset_id)
        operations.refuse_under_way(session, dataset_id)
        dataset.archived_at = utc_now()
        session.add(dataset)
        record(session, actor, "dataset.archive", f"dataset/{dataset_id}")
        session.flush()
    return dataset


def restore_dataset(session: Session, actor: Actor, dataset_id: int) -> Dataset:
    """Bring it back as it was. Restoring it again changes nothing."""
    dataset = require_dataset(session, dataset_id)
    if dataset.archived_at is not None:
        dataset.archived_at = None
        session.add(dataset)
        record(session, actor, "dataset.restore", f"dataset/{dataset_id}")
        session.flush()
    return dataset


def count_archived(session: Session) -> int:
    """How many datasets are put away."""
    return session.exec(select(func.count()).where(col(Dataset.archived_at).is_not(None))).one()
