"""What mask checks may know of runs: which were started on one.

Runs lie above mask checks, so the application hands this in (`app.state.check_use`) and mask checks import nothing of
them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request
from sqlmodel import Session


@dataclass(frozen=True)
class StartedRun:
    """A run on a check, in brief: who confirmed the check, and why a red one was overridden."""

    id: int
    name: str
    confirmed_by: str
    override_reason: str | None
    created_at: datetime


class CheckUse(Protocol):
    """Implemented by the runs domain."""

    def runs_of(self, session: Session, mask_check_id: int) -> list[StartedRun]:
        """What was started on this check, newest first."""
        ...


def get_check_use(request: Request) -> CheckUse:
    """The implementation that this application was put together with."""
    use: CheckUse = request.app.state.check_use
    return use


AppCheckUse = Annotated[CheckUse, Depends(get_check_use)]
