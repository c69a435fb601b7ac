"""What the kernel counts of processes killed for memory, before and after."""

from pathlib import Path

import pytest

from worker import memory_kills
from worker.memory_kills import MemoryKills


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    machine, container = tmp_path / "vmstat", tmp_path / "memory.events"
    monkeypatch.setattr(memory_kills, "_COUNTED_IN", (str(machine), str(container)))
    return machine, container


def test_a_kill_is_seen_wherever_it_is_counted(files: tuple[Path, Path]) -> None:
    machine, container = files
    machine.write_text("nr_free_pages 7\noom_kill 4\n", encoding="ascii")
    container.write_text("oom 9\noom_kill 1\n", encoding="ascii")
    before = MemoryKills.now()
    assert before.one_came() is False
    container.write_text("oom 9\noom_kill 2\n", encoding="ascii")
    assert before.one_came() is True


def test_where_nothing_counts_nothing_is_known(files: tuple[Path, Path]) -> None:
    assert MemoryKills.now().one_came() is None
    files[0].write_text("nr_free_pages 7\n", encoding="ascii")
    assert MemoryKills.now().one_came() is None
    before = MemoryKills.now()
    files[0].write_text("oom_kill 1\n", encoding="ascii")
    assert before.one_came() is None, "there was nothing to hold it against"
