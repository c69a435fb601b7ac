"""What no reader sees yet, or any more: rows under a staging mark.

Every query of the ORM leaves them out by itself, so that no list, count, search or page can forget to. Whoever writes
or erases them says `execution_options(include_hidden=True)`; statements on bare tables must add the condition.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlmodel import col

from app.datasets.models import Dataset, DatasetOperation, OperationKind, OperationState

_CRITERIA: Final[list[Any]] = []


def hide_unless(model: type[Any], condition: sa.ColumnElement[bool]) -> None:
    """Rows of this model are read only where the condition holds."""
    _CRITERIA.append(with_loader_criteria(model, condition, include_aliases=True))


def staged_imports() -> sa.Select[int | None]:
    """Ids of the imports whose conversations are not there yet."""
    return sa.select(col(DatasetOperation.id)).where(
        col(DatasetOperation.state) == OperationState.RUNNING,
        col(DatasetOperation.kind) == OperationKind.IMPORT,
    )


def hidden_datasets() -> sa.Select[int | None]:
    """Ids of the datasets that are being made by an import, or erased."""
    table = sa.inspect(Dataset).local_table
    return sa.select(table.c.id).where(table.c.hidden.is_(sa.true()))


@event.listens_for(Session, "do_orm_execute")
def _leave_out(state: ORMExecuteState) -> None:
    if (
        state.is_select
        and not state.is_column_load
        and not state.is_relationship_load
        and not state.execution_options.get("include_hidden")
    ):
        state.statement = state.statement.options(*_CRITERIA)


hide_unless(Dataset, col(Dataset.hidden).is_(sa.false()))
