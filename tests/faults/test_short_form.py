"""The short form of the campaign: the faults that no other test has, once each."""

import random
from pathlib import Path

import pytest

from tests.faults.outages import fill_disk, lose_both_servers
from tests.faults.places import embedded, on_servers, on_small_disk, ready_check
from tests.faults.scenarios import freeze_worker

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


def test_a_worker_frozen_past_its_lease_changes_nothing_when_it_comes_back(tmp_path: Path) -> None:
    with embedded(tmp_path) as studio:
        (told,) = freeze_worker(studio, ready_check(studio, tmp_path), random.Random(1))
        assert told.is_sound
        assert (told.state, told.attempt) == ("succeeded", 2)


def test_a_full_disk_ends_nothing_but_what_needs_it_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with on_small_disk(tmp_path) as studio:
        (told,) = fill_disk(studio, ready_check(studio, tmp_path), random.Random(1))
        assert told.is_sound
        assert told.figures["told to come again"] > 0


@pytest.mark.servers
def test_a_run_outlives_lost_messages_and_the_end_of_redis_and_postgresql(tmp_path: Path) -> None:
    with on_servers(tmp_path) as studio:
        (told,) = lose_both_servers(studio, ready_check(studio, tmp_path), random.Random(1))
        assert told.is_sound
        assert told.state == "succeeded"
