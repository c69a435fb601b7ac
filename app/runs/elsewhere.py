"""What a run's page shows of what lies above runs, exports and the checklist: the application hands these in (`app.state.elsewhere`)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from sqlmodel import Session

from app.runs.models import Run


class Elsewhere(Protocol):
    """Implemented by the domains of exports and checklists."""

    def of_run(self, session: Session, run: Run) -> Mapping[str, Any]:
        """What the domain's own section of the page reads."""
        ...


def shown_elsewhere(domains: Sequence[Elsewhere], session: Session, run: Run) -> Mapping[str, Any]:
    """What the sections of all of them read."""
    return {name: value for domain in domains for name, value in domain.of_run(session, run).items()}


async def get_elsewhere(request: Request) -> Sequence[Elsewhere]:
    """The implementations that this application was put together with."""
    elsewhere: Sequence[Elsewhere] = request.app.state.elsewhere
    return elsewhere


AppElsewhere = Annotated[Sequence[Elsewhere], Depends(get_elsewhere)]
