"""Tells people and programs of what has ended, in threads of its own: a receiver that is slow keeps nobody from being rescued."""

import random
import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from app.core.database import transaction
from app.core.logging import get_logger
from app.core.outages import brief, is_outage
from app.core.settings import Settings
from app.notices.announcing import announce_ends
from app.notices.sending import send_next, webhooks_with_due

logger = get_logger(__name__)
ROUND_SECONDS: Final = 2.0


class Messenger(threading.Thread):
    """A daemon thread in every worker, and one more for each webhook that is being sent to: what hangs keeps back its own
    messages alone. What one worker tells no other does.
    """

    def __init__(self, engine: Engine, settings: Settings, stop: threading.Event) -> None:
        super().__init__(daemon=True, name="messenger")
        self.engine, self.settings, self.stop_event = engine, settings, stop
        self._lanes: dict[int, threading.Thread] = {}

    def run(self) -> None:
        """Until told to stop. A database out of reach is tried again next round."""
        while not self.stop_event.wait(ROUND_SECONDS * random.uniform(0.7, 1.3)):  # noqa: S311
            _without_end(self.round)

    def round(self) -> None:
        """Write down what ended since the last one, and have everything sent that is due. Waits for no receiver."""
        with transaction(self.engine) as session:
            announce_ends(session, self.settings)
        self._lanes = {webhook_id: lane for webhook_id, lane in self._lanes.items() if lane.is_alive()}
        for webhook_id in webhooks_with_due(self.engine):
            if webhook_id not in self._lanes:
                lane = threading.Thread(
                    target=_without_end,
                    args=(lambda webhook_id=webhook_id: self._send_all(webhook_id),),
                    daemon=True,
                    name=f"webhook {webhook_id}",
                )
                self._lanes[webhook_id] = lane
                lane.start()

    def _send_all(self, webhook_id: int) -> None:
        while not self.stop_event.is_set() and send_next(self.engine, self.settings, webhook_id):
            pass


def _without_end(work: Callable[[], None]) -> None:
    """Nothing may end the thread that does this."""
    try:
        work()
    except Exception as error:
        if is_outage(error):
            logger.warning("messenger: the database is out of reach (%s)", brief(error))
        else:
            logger.exception("messenger: a round failed")
