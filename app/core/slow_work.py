"""Requests that work for long (a password's hash, a mask), a few at a time and in threads of their own.

Whoever waits for a place there waits on the event loop: no thread of the pages and no database connection is held.
"""

import functools
import math
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from anyio import CapacityLimiter, move_on_after, to_thread
from fastapi import Request

from app.core.errors import TooMany, Unavailable

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
RETRY_SECONDS = 5


@dataclass(frozen=True)
class Bounds:
    """How much of one kind of work there is at a time, and what somebody is told who would go beyond it.

    `at_once` counts threads, `each` those that one person may take, `asked` how many requests of one person may be under
    way or waiting; `seconds` is the longest wait for a thread.
    """

    at_once: int
    each: int
    asked: int
    seconds: float
    too_many: str
    too_long: str


@dataclass
class _Person:
    places: CapacityLimiter
    asked: int = 0


@dataclass
class SlowWork:
    """The threads of one kind of work in one server."""

    bounds: Bounds
    _people: dict[Hashable, _Person] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._places = CapacityLimiter(self.bounds.at_once)

    async def run(self, who: Hashable, work: Callable[[], Result]) -> Result:
        """What `work` returns. Raises TooMany when this person asked for too much at once, Unavailable when all places
        stayed taken.
        """
        person = self._people.setdefault(who, _Person(CapacityLimiter(self.bounds.each)))
        if person.asked >= self.bounds.asked:
            raise TooMany(self.bounds.too_many, retry_after=RETRY_SECONDS)
        person.asked += 1
        try:
            with move_on_after(self.bounds.seconds) as waiting:
                async with person.places, self._places:
                    waiting.deadline = math.inf
                    return await to_thread.run_sync(work, limiter=CapacityLimiter(1))
            raise Unavailable(self.bounds.too_long, retry_after=RETRY_SECONDS)
        finally:
            person.asked -= 1
            if not person.asked:
                del self._people[who]


def apart(
    bounds: Bounds,
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Coroutine[Any, Any, Result]]]:
    """Makes a plain endpoint run within these bounds. It takes `request`, and no session: it opens one where it needs
    it, and closes it before it works.
    """

    def decorate(endpoint: Callable[Arguments, Result]) -> Callable[Arguments, Coroutine[Any, Any, Result]]:
        @functools.wraps(endpoint)
        async def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            request = kwargs["request"]
            assert isinstance(request, Request)
            works: dict[Bounds, SlowWork] = request.app.state.slow_work
            work = works.setdefault(bounds, SlowWork(bounds))
            return await work.run(_who(request), functools.partial(endpoint, *args, **kwargs))

        return run

    return decorate


def _who(request: Request) -> Hashable:
    """The person, or the address where nobody has signed in."""
    actor = getattr(request.state, "actor", None)
    return actor.user_id if actor else (request.client.host if request.client else "")
