"""The short form of the campaign: the fault that no other test has, once."""

import random
from pathlib import Path

import pytest

from tests.faults.__main__ import ready_check
from tests.faults.scenarios import freeze_worker
from tests.faults.studio import hasty
from tests.support.installation import installed, prepare
from tests.support.tiny_llama import tiny_llama_folder
from tests.support.tokenizers import smollm2_folder
from tests.support.workers import running_worker

__all__ = ["smollm2_folder"]
pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


def test_a_worker_frozen_past_its_lease_changes_nothing_when_it_comes_back(
    tmp_path: Path,
    smollm2_folder: Path,
) -> None:
    with installed(hasty(tmp_path)) as studio:
        with running_worker(studio.settings):
            check = ready_check(studio, prepare(studio, tiny_llama_folder(smollm2_folder, tmp_path / "tiny")))
        told = freeze_worker(studio, check, random.Random(1))
        assert told.is_sound
        assert (told.state, told.attempt) == ("succeeded", 2)
