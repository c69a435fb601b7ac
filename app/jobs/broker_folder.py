"""The embedded broker: kombu's folder of messages, made to outlive its folder.

Somebody deletes the folder, or puts something else in its place: a worker must not end for that, because jobs are
under way in it. It polls on until the folder can be made again; meanwhile jobs wait in the database.
"""

import json
import time
import uuid
from contextlib import suppress
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
        """Raises ChannelError when there is no folder and none can be made, or the disk has no room."""
        path = Path(self.data_folder_out) / f"{time.monotonic_ns()}_{uuid.uuid4()}.{queue}.msg"
        try:
            self._is_whole()
            _appear(path, json.dumps(payload).encode())
        except OSError as error:
            raise ChannelError(f"no message can be written to {path.parent}: {error}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The oldest message, taken where it lies: kombu moves it over the system's folder for temporary files first."""
        if self._is_whole():
            for path in sorted(Path(self.data_folder_in).glob(f"*.{queue}.msg")):
                if (message := _taken(path)) is not None:
                    return message
        raise Empty

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


def _appear(path: Path, content: bytes) -> None:
    """Whole or not at all. Raises OSError."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.rename(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


def _taken(path: Path) -> Any:
    """What the message says; None where another worker has it, and where it is no whole one or cannot be taken."""
    try:
        content = path.read_bytes()
        path.unlink()  # whoever removes it has it
    except OSError:
        return None
    try:
        return json.loads(content)
    except ValueError:
        # After a power cut, say: the job it rang for is rung for again.
        logger.warning("a message that is no whole one was dropped: %s", path.name)
        return None


class Transport(filesystem.Transport):
    """kombu's transport with our channel."""

    Channel = Channel
