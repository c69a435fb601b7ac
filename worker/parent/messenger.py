"""Tells people and programs of what has ended, in a thread of its own: a receiver that is slow keeps nobody from being rescued."""

import random
import threading
from typing import Final

from sqlalchemy import Engine

from app.core.database import transaction
from app.core.logging import get_logger
from app.core.outages import brief, is_outage
from app.core.settings import Settings
from app.notices.announcing import announce_ends
from app.notices.sending import send_due

logger = get_logger(__name__)
ROUND_SECONDS: Final = 2.0


class Messenger(threading.Thread):
    """A daemon thread in every worker; what one tells no other does."""

    def __init__(self, engine: Engine, settings: Settings, stop: threading.Event) -> None:
        super().__init__(daemon=True, name="messenger")
        self.engine, self.settings, self.stop_event = engine, settings, stop

    def run(self) -> None:
        """Until told to stop. A database out of reach is tried again next round."""
        while not self.stop_event.wait(ROUND_SECONDS * random.uniform(0.7, 1.3)):  # noqa: S311
            try:
                with transaction(self.engine) as session:
                    announce_ends(session, self.settings)
                send_due(self.engine, self.settings)
            except Exception as error:  # nothing may end this thread
                if is_outage(error):
                    logger.warning("messenger: the database is out of reach (%s)", brief(error))
                else:
                    logger.exception("messenger: a round failed")
