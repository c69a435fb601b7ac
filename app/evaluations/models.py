"""Tables of evaluations: base and tuned answers to a suite, checked and scored."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.accounts.who import CreatedBy
from app.core.database import enum_column, moment_column, utc_now
from app.core.documents import DocumentColumn
from app.evaluations.documents import EvaluationSummary

# The finish reason of an answer that ran into the token limit.
CUT: Final = "length"


class Variant(StrEnum):
    """Which model answered."""

    BASE = "base"
    TUNED = "tuned"


class Evaluation(CreatedBy, table=True):
    """One run judged on one suite. The suite is stored as it was, so the report stays true."""

    __tablename__ = "evaluation"

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True, ondelete="CASCADE")
    suite_name: str = Field(max_length=80)
    suite: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    job_id: int = Field(foreign_key="job.id", unique=True)
    summary: EvaluationSummary | None = Field(
        default=None, sa_column=Column(DocumentColumn(EvaluationSummary), nullable=True)
    )
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class EvaluationAnswer(SQLModel, table=True):
    """One answer with its checks (pass/fail, evidence) and scores."""

    __tablename__ = "evaluation_answer"
    __table_args__ = (UniqueConstraint("evaluation_id", "prompt_key", "variant"),)

    id: int | None = Field(default=None, primary_key=True)
    evaluation_id: int = Field(foreign_key="evaluation.id", index=True, ondelete="CASCADE")
    prompt_key: str = Field(max_length=80)
    variant: Variant = Field(sa_column=enum_column(Variant))
    text: str
    seconds: float = 0.0
    # Null where an earlier program did not keep it: how many tokens, and whether the limit cut them ("length") or not ("stop").
    tokens: int | None = None
    finish_reason: str | None = Field(default=None, max_length=20)
    checks: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    scores: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))

    @property
    def cut(self) -> bool:
        """Whether the token limit ended it."""
        return self.finish_reason == CUT
