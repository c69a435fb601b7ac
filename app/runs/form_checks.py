"""The mask checks that the form of a new run goes by: of its dataset, and of the one that is mixed in."""

from dataclasses import dataclass
from typing import TypedDict

from sqlmodel import Session

from app.core.errors import Conflict, Invalid
from app.jobs.models import Job
from app.jobs.service import require_job
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import Question, read_question
from app.runs.mixing import SAME_VERSION, Beside
from app.runs.new_run import NewRunForm
from app.sentences import N_
from app.versions.models import DatasetVersion


class ShownChecks(TypedDict):
    """The checks with their jobs, and whether all of them are done."""

    check: MaskCheck | None
    check_job: Job | None
    mix_check: MaskCheck | None
    mix_check_job: Job | None
    checks_done: bool


@dataclass(frozen=True)
class Checks:
    """The mask checks of what the form chooses, with their jobs: of its dataset, and of the one mixed in."""

    check: MaskCheck | None = None
    job: Job | None = None
    beside: MaskCheck | None = None
    beside_job: Job | None = None

    @property
    def ids(self) -> tuple[int | None, int | None]:
        """As the form carries them."""
        return (self.check.id if self.check else None, self.beside.id if self.beside else None)

    def with_jobs(self, session: Session) -> "Checks":
        """The same, with the jobs of both."""
        own, other = (require_job(session, one.job_id) if one else None for one in (self.check, self.beside))
        return Checks(self.check, self.job or own, self.beside, self.beside_job or other)

    def shown(self) -> ShownChecks:
        """What the form's fragments read of them."""
        found = [one for one in (self.check, self.beside) if one is not None]
        return {
            "check": self.check,
            "check_job": self.job,
            "mix_check": self.beside,
            "mix_check_job": self.beside_job,
            "checks_done": bool(found) and all(one.passed is not None for one in found),
        }

    def of_mixed(self, version: DatasetVersion | None) -> Beside | None:
        """What is mixed in, where a version is."""
        return None if version is None else Beside(version, self.beside, self.beside_job)


def checks_in(session: Session, form: NewRunForm) -> Checks:
    """Those that the form carries, unless it chooses something else by now."""
    found = []
    for name, version in (("mask_check_id", "version"), ("mix_check_id", "mix_version")):
        number = form.number(name)
        check = session.get(MaskCheck, number) if number else None
        found.append(check if check and form.is_about(check, version) else None)
    return Checks(check=found[0], beside=found[1])


def read_questions(session: Session, form: NewRunForm) -> list[Question]:
    """What the form's data, model and mask settings ask of a mask check, and the same of what is mixed in. `session` reads:
    it is let go on the way.
    """
    version, model, beside = form.number("version"), form.number("model"), form.number("mix_version")
    if version is None:
        raise Invalid(N_("Choose a dataset version."), field="version")
    if model is None:
        raise Invalid(N_("Choose a base model."), field="model")
    if beside == version:
        raise Invalid(SAME_VERSION, field="mix_version")
    form.offer_arguments(session)
    settings, versions = form.mask_settings(), [version] if beside is None else [version, beside]
    return [
        read_question(session, dataset_version_id=one, base_model_id=model, settings=settings)
        for one in versions
    ]


def require_seen(checks: Checks, seen: tuple[int | None, int | None]) -> None:
    """Refuses a start when the checks that the person saw answer another question than the form asks now."""
    if seen != checks.ids:
        raise Conflict(
            N_("Data, model or mask settings changed after the check. Look at the new check, then start."),
            field="mask_check_id",
        )
