"""What this machine's processor has: no more than a container's limit leaves, and what its flags tell."""

from pathlib import Path

import psutil
import pytest

from app.jobs import processor
from app.jobs.processor import this_processor


def test_a_processor_has_cores_and_memory_of_which_some_is_free() -> None:
    found = this_processor()
    assert found.cores > 0
    assert 0 < found.free <= found.memory <= psutil.virtual_memory().total


def test_a_containers_limit_is_all_that_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = tmp_path / "memory.max", tmp_path / "none"
    monkeypatch.setattr(processor, "_CGROUP_LIMITS", tuple(map(str, limits)))
    limits[0].write_text("123456789\n", encoding="ascii")
    assert (this_processor().memory, this_processor().free) == (123_456_789, 123_456_789)
    limits[0].write_text("max\n", encoding="ascii")
    assert this_processor().memory == psutil.virtual_memory().total
