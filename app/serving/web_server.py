"""The web server in this process: open event streams end themselves at shutdown, and logs hold no secrets."""

import logging
import logging.config
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from anyio import to_thread
from fastapi import FastAPI

from app.serving.processes import LOG_BYTES

GRACEFUL_SECONDS: Final = 3


class WithoutQuery(logging.Filter):
    """Cuts the query from access log lines: sign-in links and setup links carry their codes there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always keeps the line."""
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, str(path).split("?", 1)[0], version, status)
        return True


class WebServer(uvicorn.Server):
    """uvicorn that tells others when it is ready and when it begins to stop, and leaves the process alive after."""

    def __init__(
        self, config: uvicorn.Config, *, on_ready: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready, self._on_stop = on_ready, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn; then ready."""
        await super().startup(sockets)
        if self.started:
            # It reads the database and prints; those who call already are answered meanwhile.
            await to_thread.run_sync(self._on_ready)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn waits for open connections before it tells the application: streams must hear of it now."""
        self._on_stop()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn, but without raising the signal again afterwards: the workers still have to be stopped."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


def build_server(
    app: FastAPI, *, log_file: Path | None, on_ready: Callable[[], None], on_stop: Callable[[], None]
) -> WebServer:
    """A server for `app`. Logs go to `log_file` with warnings repeated on standard error, or all to standard error."""

    def stop() -> None:
        app.state.streams.closing.set()
        on_stop()

    config = uvicorn.Config(
        app,
        lifespan="on",
        # There are none, and their library takes its time to load.
        ws="none",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        log_config=log_config(log_file),
        server_header=False,
    )
    return WebServer(config, on_ready=on_ready, on_stop=stop)


def log_config(log_file: Path | None) -> dict[str, Any]:
    """Logging of the web process: its own lines, uvicorn's, and the application's."""
    stderr = {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}
    handlers: dict[str, Any] = {"all": stderr}
    names = ["all"]
    if log_file is not None:
        handlers = {
            "all": {
                "class": "logging.handlers.RotatingFileHandler",
                "formatter": "plain",
                "filename": str(log_file),
                "maxBytes": LOG_BYTES,
                "backupCount": 2,
                "encoding": "utf-8",
            },
            "warnings": {**stderr, "level": "WARNING"},
        }
        names = ["all", "warnings"]
    logger = {"handlers": names, "level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"without_query": {"()": WithoutQuery}},
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": handlers,
        "loggers": {
            "sft_studio": logger,
            "uvicorn": logger,
            "uvicorn.access": {**logger, "handlers": ["all"], "filters": ["without_query"]},
        },
    }
