"""What the pages of runs may know of the queue: how far a waiting run is from its beginning.

The queue lies above runs, so the application hands this in (`app.state.waiting`) and runs import nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request
from sqlmodel import Session

from app.sentences import Sentence


@dataclass(frozen=True)
class WaitsFor:
    """A waiting job's place in its queue, from 1; when it is expected to begin and to end, None where nobody knows.

    `why_unknown` where it is not known when it begins.
    """

    position: int
    begins_at: datetime | None
    ends_at: datetime | None
    why_unknown: Sentence | None


class Waiting(Protocol):
    """Implemented by the queue."""

    def of_jobs(self, session: Session) -> Mapping[int, WaitsFor]:
        """By job, everything that waits."""
        ...


async def get_waiting(request: Request) -> Waiting:
    """The implementation that this application was put together with."""
    waiting: Waiting = request.app.state.waiting
    return waiting


AppWaiting = Annotated[Waiting, Depends(get_waiting)]
