"""Faults of what the studio stands on: its disk, its database, its broker."""

import random
import time
from collections import Counter
from typing import Any

import httpx

from app.files import file_sha256
from app.serving.stored_rows import named_files, trouble_in
from tests.faults.places import OnServers, OnSmallDisk
from tests.faults.studio import Told, end_of, kept, patient, start, wait_for_event
from tests.support.installation import SAMPLES, UNTIL_STOPPED, InThisProcess
from tests.support.workers import running_worker

Check = dict[str, Any]
# Shorter and longer than a lease.
_AWAY_SECONDS = (1.0, 5.0)


def fill_disk(studio: OnSmallDisk, check: Check, dice: random.Random) -> list[Told]:
    """The disk is full while a run goes on and people work: they are told, and nothing is half there afterwards."""
    with running_worker(patient(studio, 8)):
        job = start(studio, check, **UNTIL_STOPPED)
        wait_for_event(studio, job["id"], "metric")
        time.sleep(dice.uniform(0, 1))
        studio.disk.fill()
        try:
            answers = _work(studio, check)
            until = time.monotonic() + dice.uniform(*_AWAY_SECONDS)
            while time.monotonic() < until:
                answers += _work(studio, check)
        finally:
            studio.disk.make_room()
        told = kept(studio, job["id"], **_counted(answers))
    assert told.error_code in {None, "disk_full"}, told
    require_whole(studio)
    return [told]


def _work(studio: InThisProcess, check: Check) -> Counter[int]:
    """Of every kind of request one; how often each status was answered."""
    api, lines, dataset = studio.api, (SAMPLES / "sales.en.jsonl").read_bytes(), "/api/v1/datasets/1"
    version = f"/api/v1/versions/{check['dataset_version_id']}"
    answers = [
        api.post("/api/v1/datasets", json={"name": "More"}),
        api.post(f"{dataset}/imports", files={"file": ("more.jsonl", lines)}),
        api.post(f"{dataset}/versions"),
        api.post("/api/v1/runs", json={"mask_check_id": check["id"], "recipe": "quick", "confirmed": False}),
        api.get(f"{version}/export?as=llamafactory"),
        api.get(dataset),
    ]
    return Counter(answer.status_code for answer in answers)


def _counted(answers: Counter[int]) -> dict[str, int]:
    assert 500 not in answers, answers
    return {
        "requests answered": sum(count for status, count in answers.items() if status < 500),
        "told to come again": answers[503],
    }


def require_whole(studio: InThisProcess) -> None:
    """The database, and every file that it names."""
    assert trouble_in(studio.settings.data_dir / "studio.db") == ""
    for file in named_files(studio.app.state.engine):
        path = studio.app.state.storage.path(file.key)
        assert file.sha256 in {None, file_sha256(path)}, file


def flush_redis(studio: OnServers, check: Check, dice: random.Random) -> list[Told]:
    """Every message is lost, while jobs wait and while they run."""
    jobs = [start(studio, check, max_steps=6) for _ in range(3)]
    lost = studio.redis.flush()
    with running_worker(studio.settings):
        wait_for_event(studio, jobs[0]["id"], "metric")
        time.sleep(dice.uniform(0, 1))
        lost += studio.redis.flush()
        return [end_of(studio, job["id"], **{"keys lost": lost}) for job in jobs]


def stop_redis(studio: OnServers, check: Check, dice: random.Random) -> list[Told]:
    """The broker goes away in the middle of a run and comes back empty; a run that is asked for meanwhile begins then."""
    with running_worker(studio.settings):
        job = start(studio, check)
        wait_for_event(studio, job["id"], "metric")
        studio.redis.stop()
        try:
            later = start(studio, check, max_steps=4)
            time.sleep(dice.uniform(*_AWAY_SECONDS))
        finally:
            studio.redis.start()
        told = [end_of(studio, one["id"]) for one in (job, later)]
    assert [one.attempt for one in told] == [1, 1], told
    return told


def break_postgres(studio: OnServers, check: Check, dice: random.Random) -> list[Told]:
    """The database ends without a word in the middle of a run and recovers: nobody is told of a fault of the studio's."""
    with running_worker(studio.settings):
        job = start(studio, check)
        wait_for_event(studio, job["id"], "metric")
        time.sleep(dice.uniform(0, 1))
        studio.postgres.break_off()
        try:
            answers: Counter[int] = Counter()
            until = time.monotonic() + dice.uniform(*_AWAY_SECONDS)
            while time.monotonic() < until:
                answers[studio.api.get("/api/v1/datasets").status_code] += 1
        finally:
            studio.postgres.start()
        assert set(answers) == {httpx.codes.SERVICE_UNAVAILABLE}, answers
        return [end_of(studio, job["id"], **_counted(answers))]


def lose_both_servers(studio: OnServers, check: Check, dice: random.Random) -> list[Told]:
    """In one run: every message lost, the broker away, the database broken off; both come back, the broker empty."""
    with running_worker(patient(studio, 8)):
        job = start(studio, check)
        wait_for_event(studio, job["id"], "metric")
        studio.redis.flush()
        studio.redis.stop()
        studio.postgres.break_off()
        try:
            time.sleep(dice.uniform(0, 1))
            assert studio.api.get("/api/v1/datasets").status_code == httpx.codes.SERVICE_UNAVAILABLE
        finally:
            studio.redis.start()
            studio.postgres.start()
        return [end_of(studio, job["id"])]
