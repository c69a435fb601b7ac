"""The allocator of a child that trains is truly the one that its memory comes from, and nobody's own choice is replaced."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from app.jobs.models import JobKind
from app.jobs.service import Claim
from worker.parent import allocator
from worker.parent.allocator import allocator_environment
from worker.parent.supervisor import surroundings_of

MAPS = "print(open('/proc/self/maps').read())"

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.uname().machine != "x86_64",
    reason="the allocator's package is for Linux on x86-64",
)


def test_a_child_is_given_the_allocator_and_keeps_what_it_frees() -> None:
    added = allocator_environment({})
    assert added["MIMALLOC_PURGE_DELAY"] == "-1"
    environment = {**os.environ, **added, "MIMALLOC_VERBOSE": "1"}
    child = subprocess.run(
        [sys.executable, "-c", MAPS], env=environment, capture_output=True, text=True, check=True
    )
    assert str(Path(added["LD_PRELOAD"]).resolve()) in child.stdout
    # Its own words when it starts.
    assert re.search(r"mimalloc: reserved \d+", child.stderr)
    assert "option 'purge_delay': -1" in child.stderr


def test_only_what_trains_is_given_it() -> None:
    given = {
        kind: surroundings_of(Claim(job_id=1, attempt=1, kind=kind, payload={}), None) for kind in JobKind
    }
    assert given.pop(JobKind.TRAIN) == allocator_environment()
    assert not any(given.values())


def test_what_somebody_has_loaded_first_stays() -> None:
    assert allocator_environment({"LD_PRELOAD": "/usr/lib/libjemalloc.so.2"}) == {}


def test_without_its_package_the_c_librarys_own_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(allocator, "files", missing)
    assert allocator_environment({}) == {}
