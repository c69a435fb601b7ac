"""The embedded broker outlives its folder: it is made again, and until it can be, jobs wait in the database."""

import shutil
import tempfile
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.jobs.bell import celery_app, ring
from app.jobs.models import JobKind
from tests.support.disks import small_disk


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation whose broker folder nobody made yet."""
    return Settings(data_dir=tmp_path / "data")


def bells(settings: Settings) -> int:
    """How many messages wait."""
    return len(list((settings.broker_dir / "messages").glob("*.training.msg")))


def test_the_first_bell_makes_the_folder_for_nobody_else_to_read(settings: Settings) -> None:
    ring(settings, 1, JobKind.TRAIN)
    assert bells(settings) == 1
    assert (settings.broker_dir / "messages").stat().st_mode & 0o077 == 0


def test_a_bell_after_the_folder_was_deleted_is_heard(settings: Settings) -> None:
    ring(settings, 1, JobKind.TRAIN)
    shutil.rmtree(settings.broker_dir)
    ring(settings, 2, JobKind.TRAIN)
    assert bells(settings) == 1


def test_a_file_in_its_place_is_logged_and_gone_it_is_forgotten(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.data_dir.mkdir()
    settings.broker_dir.write_text("not a folder")
    ring(settings, 1, JobKind.TRAIN)
    assert "job 1 waits for the reconciler" in caplog.text
    settings.broker_dir.unlink()
    ring(settings, 2, JobKind.TRAIN)
    assert bells(settings) == 1


def test_a_message_that_is_no_whole_one_is_dropped_and_the_next_is_heard(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring(settings, 1, JobKind.TRAIN)
    messages = settings.broker_dir / "messages"
    for place, content in enumerate((b"", b'{"body": "')):
        (messages / f"0_{place}.training.msg").write_bytes(content)
    # Nothing of it lies where temporary files do, which may be another disk, or full.
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with (
        celery_app(settings).connection_for_read() as connection,
        connection.SimpleQueue("training") as queue,
    ):
        message = queue.get_nowait()
        assert message.payload[0] == [1]
        message.ack()
    assert caplog.text.count("was dropped") == 2
    assert bells(settings) == 0


def test_a_bell_that_finds_no_room_leaves_nothing_behind(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ring(settings, 1, JobKind.TRAIN)
    before = sorted(settings.broker_dir.rglob("*"))
    with small_disk(0):
        ring(settings, 2, JobKind.TRAIN)
    assert "job 2 waits for the reconciler" in caplog.text
    assert sorted(settings.broker_dir.rglob("*")) == before


def test_a_queue_without_a_folder_is_empty(settings: Settings) -> None:
    ring(settings, 1, JobKind.TRAIN)
    with (
        celery_app(settings).connection_for_read() as connection,
        connection.SimpleQueue("training") as queue,
    ):
        assert queue.qsize() == 1
        shutil.rmtree(settings.broker_dir)
        assert queue.qsize() == 0
        with pytest.raises(queue.Empty):
            queue.get_nowait()
        assert queue.clear() == 0
