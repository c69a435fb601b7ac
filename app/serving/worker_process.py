"""The process of one Celery worker: `python -m app.serving.worker_process [--lifeline] QUEUES CONCURRENCY NAME`.

Celery finds the worker by its name, so that this package never imports it.
"""

import sys
from typing import Final

from celery.bin.celery import main as celery_main

from app.serving.lifeline import LIFELINE, end_this_process, when_parent_ends

# As in app.jobs.bell, which loads the database's tables.
INTERACTIVE: Final = "interactive"


def celery_arguments(queues: str, concurrency: int, name: str) -> list[str]:
    """Celery's own command line. Workers do not talk to each other: the database knows who does what.

    Where chats are answered beside other work, a thread more is theirs, so that none waits behind an hour of training.
    """
    beside_chats = INTERACTIVE in queues.split(",") and queues != INTERACTIVE
    return [
        "--app=worker.parent.celery_app",
        "worker",
        f"--queues={queues}",
        "--pool=threads",
        f"--concurrency={concurrency + beside_chats}",
        f"--hostname={name}@%h",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "--loglevel=INFO",
    ]


def run_worker(queues: str, concurrency: int, name: str) -> None:
    """Become a Celery worker; returns by SystemExit."""
    sys.argv = ["celery", *celery_arguments(queues, concurrency, name)]
    celery_main()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == [LIFELINE]:
        arguments = arguments[1:]
        when_parent_ends(end_this_process)
    run_worker(arguments[0], int(arguments[1]), arguments[2])
