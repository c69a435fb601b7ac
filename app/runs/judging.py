"""What runs may know of evaluations: which suites there are, and what was judged of a run.

Evaluations lie above runs, so the application hands this in (`app.state.judging`) and runs import nothing of it.
"""

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request
from sqlmodel import Session

from app.jobs.models import Job


@dataclass(frozen=True)
class SuiteChoice:
    """A suite as a form offers it; `title` by language, `prompts` their number."""

    name: str
    title: dict[str, str]
    prompts: int

    def title_in(self, locale: str) -> str:
        """The title in the reader's language, else in English, else the name."""
        return self.title.get(locale.split("-")[0]) or self.title.get("en") or self.name


@dataclass(frozen=True)
class Judgement:
    """An evaluation of a run, in brief."""

    evaluation_id: int
    suite_name: str
    job: Job


class Judging(Protocol):
    """Implemented by the evaluations domain."""

    def suites(self) -> list[SuiteChoice]:
        """Every suite a run can be judged on."""
        ...

    def of_run(self, session: Session, run_id: int) -> list[Judgement]:
        """What was judged of a run, newest first."""
        ...


async def get_judging(request: Request) -> Judging:
    """The implementation that this application was put together with."""
    judging: Judging = request.app.state.judging
    return judging


AppJudging = Annotated[Judging, Depends(get_judging)]
