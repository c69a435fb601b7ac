"""Finds what is slow while a database connection is held: hashing, rendering templates, loading tokenizers, reading,
writing, copying and removing files, starting processes, speaking to other machines, sleeping and waiting. Others wait for
that connection, and on SQLite all writers for that transaction.

A connection belongs to the request, or to the thread, that took it out of the pool. What is found is kept until a test's
end and fails it: a service that swallows exceptions hides nothing.
"""

import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final

from argon2 import PasswordHasher
from sqlalchemy import Pool, event
from starlette.types import Receive, Scope, Send

from app.core.middleware import EdgeMiddleware
from app.masking import ChatTokenizer
from app.masking.templates import isolated

ROOT: Final = Path(__file__).parents[2]
# Slow under a connection still, each with the reason why it may be for now.
ALLOWED: Final[dict[str, str]] = {
    "worker/work/": "runs in a child without a database; tests call it in the process that has one",
}
# Data of tests lie below the first; the checkout, which may lie there too, holds the program's own files.
_TEMPORARY: Final = tempfile.gettempdir()
_OWN: Final = f"{ROOT}/"
# Of Python's audit events; PostgreSQL's driver speaks to its server past them.
_SLOW: Final = frozenset(
    {
        "subprocess.Popen",
        "socket.connect",
        "socket.getaddrinfo",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.move",
        "shutil.rmtree",
        "shutil.make_archive",
        "shutil.unpack_archive",
    }
)
_DATABASE_FILES: Final = (".db", ".db-wal", ".db-shm", ".db-journal")


@dataclass
class Holder:
    """Who takes connections: a request in all its threads, or a thread."""

    connections: int = 0


_holder: ContextVar[Holder | None] = ContextVar("holder", default=None)
found: list[str] = []


def _current() -> Holder:
    holder = _holder.get()
    if holder is None:
        holder = Holder()
        _holder.set(holder)
    return holder


def _checkout(_connection: Any, record: Any, _proxy: Any) -> None:
    record.info["holder"] = holder = _current()
    holder.connections += 1


def _checkin(_connection: Any, record: Any) -> None:
    holder = record.info.pop("holder", None)
    if holder is not None:
        holder.connections -= 1


def _report(what: str, *, by_others: bool = False) -> None:
    """`by_others`: only where one module asks another, not where a test that has a session reads a file by a service."""
    holder = _holder.get()
    if holder is None or not holder.connections:
        return
    # Frames alone, outermost first: their source lines would be read from files, which is watched as well.
    frames = [
        f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_stack(None)
        if frame.f_code.co_filename.startswith((str(ROOT / "app"), str(ROOT / "worker")))
    ][::-1]
    if by_others and len({frame.split(":")[0] for frame in frames}) < 2:
        return
    if frames and not any(name in frame for frame in frames for name in ALLOWED):
        found.append(f"{what} while a database connection is held: " + " < ".join(reversed(frames[-6:])))


def _watched(owner: Any, name: str, what: str, but_in: Callable[..., Any] | None = None) -> None:
    """`but_in`: the function whose own calls do not count."""
    original: Callable[..., Any] = getattr(owner, name)
    passed_over = but_in.__code__ if but_in else None

    @wraps(original)
    def watching(*args: Any, **kwargs: Any) -> Any:
        if sys._getframe(1).f_code is not passed_over:
            _report(what)
        return original(*args, **kwargs)

    setattr(owner, name, watching)


def _audit(name: str, args: tuple[Any, ...]) -> None:
    if name in _SLOW and _holder.get() is not None:
        _report(f"{name} {args[0]!r}", by_others=True)
    if name == "open" and isinstance(args[0], str) and _holder.get() is not None:
        path = args[0]
        if path.startswith(_TEMPORARY) and not path.endswith(_DATABASE_FILES) and not path.startswith(_OWN):
            _report(f"{path} is opened", by_others=True)


def install() -> None:
    """Once in a process: there is no way to take an audit hook away."""
    event.listen(Pool, "checkout", _checkout)
    event.listen(Pool, "checkin", _checkin)
    for name in ("hash", "verify"):
        _watched(PasswordHasher, name, "a password is hashed")
    _watched(isolated._Renderers, "ask", "a chat template renders")
    load = ChatTokenizer.from_folder.__func__  # type: ignore[attr-defined]

    def from_folder(cls: type[ChatTokenizer], *args: Any, **kwargs: Any) -> Any:
        _report("a tokenizer is loaded")
        return load(cls, *args, **kwargs)

    ChatTokenizer.from_folder = classmethod(from_folder)  # type: ignore[method-assign, assignment]
    _watched(time, "sleep", "a thread sleeps")
    # A thread that is started is waited for until it runs, which is soon; a server starts one when it needs more of them.
    _watched(threading.Event, "wait", "a thread waits", but_in=threading.Thread.start)
    _watched(threading.Thread, "join", "a thread is waited for")
    _watched(subprocess.Popen, "wait", "a process is waited for")
    sys.addaudithook(_audit)
    handle = EdgeMiddleware.__call__

    async def of_one_request(self: EdgeMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        _holder.set(Holder())
        await handle(self, scope, receive, send)

    EdgeMiddleware.__call__ = of_one_request  # type: ignore[method-assign]
