"""SQLite gives no id twice, as PostgreSQL never does: links, frozen versions and the audit trail go on naming one thing.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = (
    "api_token",
    "audit_event",
    "base_model",
    "conversation",
    "conversation_revision",
    "dataset",
    "dataset_import",
    "dataset_version",
    "evaluation",
    "evaluation_answer",
    "job",
    "login_session",
    "mask_check",
    "run",
    "run_artifact",
    "user_account",
)


def upgrade() -> None:
    _remake(never_again=True)


def downgrade() -> None:
    _remake(never_again=False)


def _remake(*, never_again: bool) -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    # AUTOINCREMENT cannot be added to a table that exists. Foreign keys are off here: see core/migrations.py.
    for name in _TABLES:
        options = {"sqlite_autoincrement": never_again}
        with op.batch_alter_table(name, recreate="always", table_kwargs=options):
            pass
