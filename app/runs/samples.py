"""Sample answers of a run: the table of steps and prompts, from its events."""

from dataclasses import dataclass, field

from sqlalchemy import delete
from sqlmodel import Session, col, select

from app.jobs.events import EventKind, SamplePayload
from app.jobs.models import Job, JobEvent
from app.jobs.newest import told_until_restored
from app.runs.models import Run
from app.runs.service import trains_on


@dataclass(frozen=True)
class Samples:
    """`rounds` by step, each with the answers by the prompt's number, in order; `prompts` are as asked last."""

    prompts: dict[int, SamplePayload] = field(default_factory=dict)
    rounds: dict[int, dict[int, SamplePayload]] = field(default_factory=dict)

    def of_all(self) -> list[SamplePayload]:
        """Every answer, by step, then prompt."""
        return [answer for answers in self.rounds.values() for answer in answers.values()]


def read_samples(session: Session, job: Job) -> Samples:
    """The answers of a job so far. A step asked again after a rescue has its newer answers; those that a later attempt took back
    are gone.
    """
    found: dict[tuple[int, int], SamplePayload] = {}
    for told in told_until_restored(session, [job.id or 0], SamplePayload)[job.id or 0]:
        found[told["step"], told["prompt"]] = told
    samples = Samples()
    for (step, prompt), answer in sorted(found.items()):
        samples.rounds.setdefault(step, {})[prompt] = answer
        samples.prompts[prompt] = answer
    return samples


def forget_samples(session: Session, version_ids: list[int], conversation_id: int | None) -> None:
    """Remove what sample answers hold of a conversation, or for None of any: its prompt and answer, and answers copied from it."""
    jobs = session.exec(select(Run.job_id).where(trains_on(version_ids))).all()
    events = session.exec(
        select(JobEvent).where(col(JobEvent.job_id).in_(jobs), JobEvent.kind == EventKind.SAMPLE)
    ).all()
    for event in events:
        if conversation_id is None or conversation_id in (
            event.payload.get("conversation_id"),
            event.payload.get("copied_from"),
        ):
            session.execute(
                delete(JobEvent).where(col(JobEvent.job_id) == event.job_id, col(JobEvent.seq) == event.seq)
            )
