"""Why a job failed is one document: a code, the template of a sentence and its values.

Until now the sentence was stored filled, in English, so that its translation could not be found.

Revision ID: 0005
Revises: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# How the sentences of failures began to which the pages give advice.
_CODES = {
    "There was not enough memory": "out_of_memory",
    "The disk is full": "disk_full",
    "The process was killed": "killed",
    "The worker vanished": "vanished",
    "The loss stopped being a number": "not_a_number",
}
# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}
_JOB = sa.table(
    "job",
    sa.column("id", sa.Integer),
    sa.column("error", sa.String),
    sa.column("error_params", sa.JSON),
    sa.column("failure", sa.JSON),
)
_EVENT = sa.table(
    "job_event",
    sa.column("job_id", sa.Integer),
    sa.column("seq", sa.Integer),
    sa.column("kind", sa.String),
    sa.column("payload", sa.JSON),
)


def upgrade() -> None:
    op.add_column("job", sa.Column("failure", sa.JSON(none_as_null=True), nullable=True))
    connection = op.get_bind()
    failed = sa.select(_JOB.c.id, _JOB.c.error, _JOB.c.error_params).where(_JOB.c.error.is_not(None))
    for job_id, error, values in connection.execute(failed).all():
        change = sa.update(_JOB).where(_JOB.c.id == job_id)
        connection.execute(change.values(failure=_failure(error, values)))
    _rewrite_events(_with_failure)
    with op.batch_alter_table("job", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_column("error")
        batch.drop_column("error_params")


def downgrade() -> None:
    op.add_column("job", sa.Column("error", sa.String(), nullable=True))
    op.add_column("job", sa.Column("error_params", sa.JSON(), nullable=False, server_default="{}"))
    connection = op.get_bind()
    for job_id, failure in connection.execute(sa.select(_JOB.c.id, _JOB.c.failure)).all():
        if failure:
            change = sa.update(_JOB).where(_JOB.c.id == job_id)
            connection.execute(change.values(error=failure["template"], error_params=failure["values"]))
    _rewrite_events(_with_error)
    with op.batch_alter_table("job", table_kwargs=_NEVER_AGAIN) as batch:
        batch.alter_column("error_params", server_default=None)
        batch.drop_column("failure")


def _failure(error: str, values: dict[str, Any] | None) -> dict[str, Any]:
    code = next((code for words, code in _CODES.items() if error.startswith(words)), "unexpected")
    return {"code": code, "template": error, "values": values or {}}


def _with_failure(payload: dict[str, Any]) -> dict[str, Any] | None:
    if "error" not in payload:
        return None
    error, values = payload.pop("error"), payload.pop("error_params", None)
    return {**payload, "failure": _failure(error, values) if error else None}


def _with_error(payload: dict[str, Any]) -> dict[str, Any] | None:
    if "failure" not in payload:
        return None
    failure = payload.pop("failure") or {"template": None, "values": {}}
    return {**payload, "error": failure["template"], "error_params": failure["values"]}


def _rewrite_events(rewritten: Any) -> None:
    """Change the payloads of `state` events for which there is another; a few of each job."""
    connection = op.get_bind()
    states = sa.select(_EVENT.c.job_id, _EVENT.c.seq, _EVENT.c.payload).where(_EVENT.c.kind == "state")
    for job_id, seq, payload in connection.execute(states).all():
        other = rewritten(dict(payload))
        if other is not None:
            place = (_EVENT.c.job_id == job_id) & (_EVENT.c.seq == seq)
            connection.execute(sa.update(_EVENT).where(place).values(payload=other))
