"""The short form of the campaign: the faults that no other test has, once each."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.hanging import hang
from tests.faults.outages import fill_disk, lose_both_servers
from tests.faults.places import OnServers, OnSmallDisk, on_servers, on_small_disk, ready_check
from tests.faults.scenarios import freeze_worker, kill_child
from tests.faults.together import hand_over_curriculum
from worker.memory_kills import MemoryKills

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


# Making one ready takes as long as a fault.
@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OnSmallDisk, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("embedded")
    with on_small_disk(folder) as studio:
        yield studio, ready_check(studio, folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OnServers, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("shared")
    with on_servers(folder) as studio:
        yield studio, ready_check(studio, folder)


def test_a_worker_frozen_past_its_lease_changes_nothing_when_it_comes_back(
    embedded: tuple[OnSmallDisk, dict[str, Any]],
) -> None:
    (told,) = freeze_worker(*embedded, random.Random(1))
    assert told.is_sound
    # A slow machine may lose the short lease before the worker is frozen too.
    assert told.state == "succeeded"
    assert told.attempt >= 2


def test_a_process_that_is_killed_alone_is_begun_again_where_it_was_not_for_memory(
    embedded: tuple[OnSmallDisk, dict[str, Any]],
) -> None:
    counts = MemoryKills.now().one_came()
    (told,) = kill_child(*embedded, random.Random(1))
    assert told.is_sound
    ends = ("failed", 1, "killed") if counts is None else ("succeeded", 2, None)
    assert (told.state, told.attempt, told.error_code) == ends


@pytest.mark.timeout(600)
def test_a_run_that_hangs_in_a_step_goes_on_from_its_checkpoint_as_if_it_had_not(
    embedded: tuple[OnSmallDisk, dict[str, Any]],
) -> None:
    undisturbed, hung = hang(*embedded, random.Random(1))
    assert undisturbed.is_sound
    assert hung.is_sound


def test_a_full_disk_ends_nothing_but_what_needs_it_and_leaves_nothing_half_written(
    embedded: tuple[OnSmallDisk, dict[str, Any]],
) -> None:
    (told,) = fill_disk(*embedded, random.Random(1))
    assert told.is_sound
    assert told.figures["told to come again"] > 0


@pytest.mark.servers
def test_a_run_outlives_lost_messages_and_the_end_of_redis_and_postgresql(
    shared: tuple[OnServers, dict[str, Any]],
) -> None:
    (told,) = lose_both_servers(*shared, random.Random(1))
    assert told.is_sound
    assert told.state == "succeeded"


@pytest.mark.servers
@pytest.mark.timeout(600)
def test_a_curriculum_that_goes_from_worker_to_worker_is_the_undisturbed_one(
    shared: tuple[OnServers, dict[str, Any]],
) -> None:
    told = hand_over_curriculum(*shared, random.Random(1))
    assert all(one.is_sound for one in told)
    assert {one.state for one in told} == {"succeeded"}
