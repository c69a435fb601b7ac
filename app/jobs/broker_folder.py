"""The embedded broker: kombu's folder of messages, made to outlive its folder.

Somebody deletes the folder, or puts something else in its place: a worker must not end for that, because jobs are
under way in it. It polls on until the folder can be made again; meanwhile jobs wait in the database.
"""

from pathlib import Path
from queue import Empty
from typing import Any, Final

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem

from app.core.logging import get_logger

logger = get_logger(__name__)
BROKER_URL: Final = "folder://"
TRANSPORT_ALIASES["folder"] = "app.jobs.broker_folder:Transport"


class Channel(filesystem.Channel):
    """As kombu's, but what is wrong with the folder is logged instead of raised to Celery, which would end."""

    _troubled = False

    def get_table(self, exchange: str) -> list[Any]:
        """Each queue of `queues` has an exchange of its own name: known even when its file was deleted."""
        found = super().get_table(exchange)
        if not found and exchange in self.transport_options["queues"]:
            return [filesystem.exchange_queue_t(exchange, "", exchange)]
        return found

    def _queue_bind(self, *arguments: Any) -> None:
        if self._is_whole():
            super()._queue_bind(*arguments)

    # The stubs of the two classes above disagree.
    def _put(  # type: ignore[override]
        self, queue: str, payload: dict[str, Any], **options: Any
    ) -> None:
        """Raises ChannelError when there is no folder and none can be made."""
        try:
            super()._put(queue, payload, **options)
        except ChannelError:
            if not self._is_whole():
                raise
            super()._put(queue, payload, **options)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        try:
            message = super()._get(queue)
        except (OSError, ChannelError) as error:
            self._is_whole()
            raise Empty from error
        return message

    def _size(self, queue: str) -> int:
        return super()._size(queue) if self._is_whole() else 0

    def _purge(self, queue: str) -> int:
        return super()._purge(queue) if self._is_whole() else 0

    def _is_whole(self) -> bool:
        """Whether the folders are there, made again if need be; says so once when they cannot be."""
        folders = (Path(self.data_folder_in), Path(self.data_folder_out), self.control_folder)
        if all(folder.is_dir() for folder in folders):
            self._troubled = False
            return True
        try:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            if not self._troubled:
                logger.warning("the broker's folder cannot be used, jobs wait until it can: %s", error)
            self._troubled = True
            return False
        logger.warning("the broker's folder was made again: %s", folders[0].parent)
        self._troubled = False
        return True


class Transport(filesystem.Transport):
    """kombu's transport with our channel."""

    Channel = Channel
