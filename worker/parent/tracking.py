"""Tells a tracker of runs, in a thread of its own for each: one that hangs keeps neither runs nor the other from anything."""

import random
import threading
from typing import Final

from sqlalchemy import Engine

from app.core.logging import get_logger
from app.core.outages import brief, is_outage
from app.core.settings import Settings
from app.core.storage import Storage
from app.trackers.choosing import trackers_of
from app.trackers.telling import Teller
from app.trackers.tracker import Tracker
from worker.parent.attempt import owner_name

logger = get_logger(__name__)
PAUSE_SECONDS: Final = 2.0


def start_tracking(engine: Engine, settings: Settings, storage: Storage, stop: threading.Event) -> None:
    """A thread for each tracker that the settings name."""
    for tracker in trackers_of(settings):
        TrackingThread(engine, settings, storage, tracker, stop).start()


class TrackingThread(threading.Thread):
    """A daemon thread in every worker; of each run one worker tells at a time."""

    def __init__(
        self, engine: Engine, settings: Settings, storage: Storage, tracker: Tracker, stop: threading.Event
    ) -> None:
        super().__init__(daemon=True, name=f"tracking-{tracker.name}")
        owner = f"{owner_name()}:{tracker.name}"
        self.stop_event = stop
        self.tracker = tracker
        self.teller = Teller(engine, settings, storage, tracker, owner=owner, stop=stop)

    def run(self) -> None:
        """Until told to stop. A database out of reach is tried again next round."""
        is_new = True
        while not self.stop_event.wait(PAUSE_SECONDS * random.uniform(0.7, 1.3)):  # noqa: S311
            try:
                if is_new:
                    self.teller.try_all_again()
                    is_new = False
                self.teller.round()
            except Exception as error:  # nothing may end this thread
                if is_outage(error):
                    logger.warning("%s: the database is out of reach (%s)", self.name, brief(error))
                else:
                    logger.exception("%s: a round failed", self.name)
        self.tracker.close()
