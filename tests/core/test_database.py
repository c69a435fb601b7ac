"""What is stored comes back as it was, and only what ends well is stored."""

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, StatementError
from sqlmodel import select

from app.core.database import build_engine, reading, transaction
from app.jobs.models import Job, JobKind


def store(engine: Engine, job: Job, *, then: type[Exception] | None = None) -> None:
    with transaction(engine) as session:
        session.add(job)
        session.flush()
        if then is not None:
            raise then


def stored(engine: Engine) -> list[Job]:
    with reading(engine) as session:
        return list(session.exec(select(Job)))


def test_a_moment_comes_back_in_utc_whatever_zone_it_was_given_in(engine: Engine) -> None:
    there = datetime(2026, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=8)))
    with transaction(engine) as session:
        session.add(Job(kind=JobKind.TRAIN, created_at=there))
    (job,) = stored(engine)
    assert job.created_at == there
    assert job.created_at.utcoffset() == timedelta(0)


def test_a_moment_without_a_zone_is_not_stored(engine: Engine) -> None:
    naive = datetime(2026, 2, 3)  # noqa: DTZ001 - that is what is refused
    with pytest.raises(StatementError, match="naive datetime"):
        store(engine, Job(kind=JobKind.TRAIN, created_at=naive))


def test_a_value_outside_its_enum_is_not_stored(engine: Engine) -> None:
    with pytest.raises(StatementError, match="dance"):
        store(engine, Job(kind="dance"))


def test_a_block_that_raises_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(RuntimeError):
        store(engine, Job(kind=JobKind.TRAIN), then=RuntimeError)
    assert stored(engine) == []


def test_readers_do_not_wait_for_a_writer(engine: Engine) -> None:
    hasty = build_engine(str(engine.url.render_as_string(hide_password=False)), wait_seconds=0.2)
    with transaction(engine) as session:
        session.add(Job(kind=JobKind.TRAIN))
        session.flush()
        assert stored(hasty) == []
        if engine.dialect.name == "sqlite":  # which has one writer
            with pytest.raises(OperationalError):
                store(hasty, Job(kind=JobKind.TRAIN))
    hasty.dispose()
