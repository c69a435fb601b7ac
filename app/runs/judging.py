"""What runs may know of evaluations: which suites there are, and what was judged of a run.

Evaluations lie above runs, so the application hands this in (`app.state.judging`) and runs import nothing of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from sqlmodel import Session

from app.jobs.models import Job
from app.scoring.verdict import Level, SuiteVerdict


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
    """An evaluation of a run, in brief; `verdict` once it is done."""

    evaluation_id: int
    suite_name: str
    job: Job
    verdict: SuiteVerdict | None


class Verdict(Protocol):
    """The verdict over all suites, in the reader's language."""

    word: str
    detail: str
    level: Level
    # Of base and tuned model; None where nothing is held out.
    held_out_loss: Any


class Judging(Protocol):
    """Implemented by the evaluations domain."""

    def suites(self) -> list[SuiteChoice]:
        """Every suite a run can be judged on."""
        ...

    def of_run(self, session: Session, run_id: int) -> list[Judgement]:
        """What was judged of a run, newest first."""
        ...

    def verdicts(self, session: Session, run_ids: Sequence[int]) -> Mapping[int, Verdict]:
        """By run, what all its evaluations say together; runs that none has judged are left out."""
        ...


async def get_judging(request: Request) -> Judging:
    """The implementation that this application was put together with."""
    judging: Judging = request.app.state.judging
    return judging


AppJudging = Annotated[Judging, Depends(get_judging)]
