"""Requests that work for long (a password's hash, a mask), a few at a time and in threads of their own.

Whoever waits for a place there waits on the event loop: no thread of the pages and no database connection is held.
"""

import functools
import inspect
import math
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, move_on_after, to_thread
from fastapi import Request, Response
from pydantic import TypeAdapter

from app.core.errors import TooMany, Unavailable
from app.core.web import RETRY_SECONDS

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
# Of every kind of such work that an endpoint declares, and the most threads of all of them: a server sets a connection
# aside for each before it loads the endpoints.
_DECLARED: Final[set["Bounds"]] = set()
MOST_AT_ONCE: Final = 12


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
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Coroutine[Any, Any, Result | Response]]]:
    """Makes a plain endpoint run within these bounds, and its answer become JSON there. It takes `request`, and no
    session: it opens one where it needs it, and closes it before it works.
    """
    _DECLARED.add(bounds)
    assert sum(each.at_once for each in _DECLARED) <= MOST_AT_ONCE

    def decorate(
        endpoint: Callable[Arguments, Result],
    ) -> Callable[Arguments, Coroutine[Any, Any, Result | Response]]:
        answer = _json_of(inspect.get_annotations(endpoint, eval_str=True).get("return"))

        @functools.wraps(endpoint)
        async def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result | Response:
            request = kwargs["request"]
            assert isinstance(request, Request)
            works: dict[Bounds, SlowWork] = request.app.state.slow_work
            work = works.setdefault(bounds, SlowWork(bounds))
            return await work.run(
                _who(request),
                lambda: answer(endpoint(*args, **kwargs), request.scope["route"].status_code),
            )

        return run

    return decorate


def _json_of(annotation: Any) -> Callable[[Any, int | None], Any]:
    """What becomes of an endpoint's answer: the framework would write the JSON of a coroutine's on the event loop."""
    if annotation is None or (isinstance(annotation, type) and issubclass(annotation, Response)):
        return lambda answer, _status: answer
    written: TypeAdapter[Any] = TypeAdapter(annotation)

    def write(answer: Any, status: int | None) -> Any:
        if isinstance(answer, Response):
            return answer
        return Response(written.dump_json(answer), status or 200, media_type="application/json")

    return write


def _who(request: Request) -> Hashable:
    """The person, or the address where nobody has signed in."""
    actor = getattr(request.state, "actor", None)
    return actor.user_id if actor else (request.client.host if request.client else "")
