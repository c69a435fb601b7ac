"""What a run's page may know of exports, which lie above runs: the application hands this in (`app.state.elsewhere`)."""

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from sqlmodel import Session

from app.runs.models import Run


class Elsewhere(Protocol):
    """Implemented by the exports domain."""

    def of_run(self, session: Session, run: Run) -> Mapping[str, Any]:
        """What `exports/_section.html` reads."""
        ...


async def get_elsewhere(request: Request) -> Elsewhere:
    """The implementation that this application was put together with."""
    elsewhere: Elsewhere = request.app.state.elsewhere
    return elsewhere


AppElsewhere = Annotated[Elsewhere, Depends(get_elsewhere)]
