"""People save recipes of their own; a run keeps which one it was, in which version, and what that set.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recipe",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("name_key", sa.String(length=720), nullable=False),
        sa.Column("purpose", sa.String(length=500), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_by_user_id", sa.Integer(), nullable=True),
        sa.Column("created_by_token_id", sa.Integer(), nullable=True),
        sa.Column("updated_by", sa.String(length=80), nullable=False),
        sa.Column("updated_by_user_id", sa.Integer(), nullable=True),
        sa.Column("updated_by_token_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipe")),
        sa.UniqueConstraint("name_key", name=op.f("uq_recipe_name_key")),
        sqlite_autoincrement=True,
    )
    op.add_column("run", sa.Column("recipe_id", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("recipe_version", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("recipe_settings", sa.JSON(), nullable=True))
    op.create_index("ix_run_recipe_id", "run", ["recipe_id"])


def downgrade() -> None:
    op.drop_index("ix_run_recipe_id", "run")
    with op.batch_alter_table("run", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_column("recipe_settings")
        batch.drop_column("recipe_version")
        batch.drop_column("recipe_id")
    op.drop_table("recipe")
