"""Jobs and their events as REST shows them, and as the command line reads them again."""

from app.core.i18n import use_locale
from app.jobs.models import Job, JobKind, JobState, utc_now
from app.jobs.schemas import EventOut, JobOut
from app.sentences import N_, Failure, Sentence


def _failed() -> Job:
    failure = Failure("killed", Sentence.of(N_("%(field)s is missing."), field="rank"))
    return Job(
        id=1, kind=JobKind.TRAIN, state=JobState.FAILED, failure=failure.to_json(), created_at=utc_now()
    )


def test_a_failed_job_tells_why_in_the_readers_language_and_by_code() -> None:
    job = _failed()
    assert (JobOut.of(job).error, JobOut.of(job).error_code) == ("rank is missing.", "killed")
    with use_locale("zh-CN"):
        assert JobOut.of(job).error == "缺少 rank。"


def test_a_job_that_was_sent_is_read_back_the_same() -> None:
    shown = JobOut.of(_failed())
    assert JobOut.model_validate(shown.model_dump(mode="json")) == shown


def test_an_event_is_sent_flat_with_the_fields_of_its_kind() -> None:
    event = {"seq": 1, "kind": "progress", "at": "2026-01-01T00:00:00Z", "step": 1, "total_steps": 9}
    shown = EventOut.model_validate(event)
    assert shown.model_dump() == event
    assert shown.payload == {"step": 1, "total_steps": 9}
