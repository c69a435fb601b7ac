"""The server of a demo: `serve` as a child of this process, or the one that runs on this data folder already."""

import contextlib
import errno
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from app.accounts.first_run import read_local_token
from app.client.rest import StudioClient
from app.core.console import CommandFailed, say
from app.core.i18n import gettext as _
from app.core.settings import Settings
from app.serving.processes import child_environment

START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0
_PORTS_TRIED: Final = 50


def running_client(settings: Settings) -> StudioClient | None:
    """A client of the server that runs on this very data folder already; None when there is none."""
    if not read_local_token(settings.data_dir):
        return None
    client = client_when_up(f"http://127.0.0.1:{settings.port}", settings)
    if client is not None:
        with contextlib.suppress(CommandFailed):
            client.datasets()  # another installation does not know our token
            return client
        client.close()
    return None


def client_when_up(url: str, settings: Settings) -> StudioClient | None:
    """A client with the token of the server that answers now; None when none answers.

    The port is open before the database is prepared, and a new database makes a new token: only a server that
    answers has written the one it knows.
    """
    with StudioClient(url, "") as probe:
        if not probe.is_up():
            return None
    token = read_local_token(settings.data_dir)
    return StudioClient(url, token) if token else None


def choose_port(wanted: int) -> int:
    """The wanted port, or the next free one, which is said."""
    for port in range(wanted, min(wanted + _PORTS_TRIED, 65536)):
        try:
            with socket.create_server(("127.0.0.1", port)):
                break
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise CommandFailed(
                    _("Port %(port)d cannot be used: %(reason)s.") % {"port": port, "reason": error.strerror}
                ) from error
    else:
        raise CommandFailed(
            _("The ports %(first_port)d to %(last_port)d are all in use. Set SFT_STUDIO_PORT to a free one.")
            % {"first_port": wanted, "last_port": min(wanted + _PORTS_TRIED, 65536) - 1}
        )
    if port != wanted:
        say(
            _("Port %(wanted_port)d is in use, so this uses %(port)d.")
            % {"wanted_port": wanted, "port": port}
        )
    return port


@dataclass
class DemoServer:
    """`serve` in the background. It ends with this process, however this process ends."""

    settings: Settings
    port: int
    _process: subprocess.Popen[bytes] = field(init=False)

    @property
    def log_file(self) -> Path:
        """What the server says on its standard error."""
        return self.settings.data_dir / "logs" / "serve.log"

    def __enter__(self) -> Self:
        self.log_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "app.cli",
                    "serve",
                    "--lifeline",
                    f"--port={self.port}",
                    "--host=127.0.0.1",
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=child_environment(self.settings),
                # Ctrl-C reaches this process alone, which then stops the server in its own time.
                start_new_session=True,
            )
        return self

    def __exit__(self, *_exc: object) -> None:
        """SIGTERM, and SIGKILL if that is not enough: the workers hold a lifeline to the server."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait_until_ready(self) -> StudioClient:
        """A client once the server answers. Raises CommandFailed with the server's own last line."""
        url = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.require_alive()
            client = client_when_up(url, self.settings)
            if client is not None:
                return client
            time.sleep(0.2)
        raise CommandFailed(
            _("The server did not start within %(seconds)d s. Its log: %(log)s")
            % {"seconds": START_SECONDS, "log": self.log_file}
        )

    def require_alive(self) -> None:
        """Raises CommandFailed when the server has ended."""
        if self._process.poll() is None:
            return
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1].removeprefix("sft-studio: ") if lines else ""
        raise CommandFailed(
            _("The server ended: %(reason)s Its log: %(log)s") % {"reason": last, "log": self.log_file}
        )

    def wait(self) -> None:
        """Until the server ends, which it should not by itself."""
        self._process.wait()
        self.require_alive()
