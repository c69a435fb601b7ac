"""Where faults are done: embedded, on servers of one's own, on a small disk; each with a green mask check of a tiny model."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.studio import hasty, patient
from tests.support.disks import SmallDisk, mounted_disk
from tests.support.installation import InThisProcess, Studio, installed, prepare
from tests.support.servers import StoppablePostgres, StoppableRedis, stoppable_postgres, stoppable_redis
from tests.support.small_model import small_model_folder
from tests.support.tiny_llama import tiny_llama_folder
from tests.support.workers import running_worker

# A run of the tiny model keeps three checkpoints of some megabytes and writes its log.
DISK_MEGABYTES = 300


@dataclass(frozen=True)
class OnServers(InThisProcess):
    """On a PostgreSQL and a Redis that go away and come back."""

    postgres: StoppablePostgres
    redis: StoppableRedis


@dataclass(frozen=True)
class OnSmallDisk(InThisProcess):
    """Embedded, with its data folder on a disk that can be filled."""

    disk: SmallDisk


@contextmanager
def embedded(folder: Path) -> Iterator[InThisProcess]:
    """SQLite and a broker in a folder."""
    with installed(hasty(folder)) as studio:
        yield studio


@contextmanager
def on_servers(folder: Path) -> Iterator[OnServers]:
    """As several machines share it: two workers have room for a run each."""
    with (
        stoppable_postgres() as postgres,
        stoppable_redis(folder) as redis,
        installed(
            hasty(folder, database_url=postgres.url, redis_url=redis.url, training_per_device=2)
        ) as studio,
    ):
        yield OnServers(studio.settings, studio.api, studio.app, postgres, redis)


@contextmanager
def on_small_disk(folder: Path) -> Iterator[OnSmallDisk]:
    """Whatever the studio writes lies on it; temporary files do not."""
    with mounted_disk(folder / "data", DISK_MEGABYTES) as disk, installed(hasty(folder)) as studio:
        yield OnSmallDisk(studio.settings, studio.api, studio.app, disk)


Place = Callable[[Path], AbstractContextManager[Any]]


def ready_check(studio: Studio, folder: Path) -> dict[str, Any]:
    """A finished, green check of a small version with a tiny model, which every run of a campaign starts from."""
    with running_worker(patient(studio)):
        model = prepare(studio, tiny_llama_folder(small_model_folder(), folder / "tiny"))
        return studio.check(studio.version(12), model)
