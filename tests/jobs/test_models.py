"""States of a job, and what is shown of them."""

from app.jobs.models import TRANSITIONS, Job, JobKind, JobState, StopRequest


def test_every_state_has_its_row_and_a_final_one_leads_nowhere() -> None:
    assert set(TRANSITIONS) == set(JobState)
    final = {state for state in JobState if state.is_final}
    assert final == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
    assert all(after in TRANSITIONS for ways in TRANSITIONS.values() for after in ways)


def test_a_running_job_shows_its_phase_or_that_it_is_being_cancelled() -> None:
    job = Job(kind=JobKind.TRAIN, state=JobState.RUNNING)
    assert job.status == "preparing"
    job.phase = "training"
    assert job.status == "training"
    job.stop_requested = StopRequest.SAVE
    assert job.status == "training"
    job.stop_requested = StopRequest.CANCEL
    assert job.status == "cancelling"
    job.state = JobState.CANCELLED
    assert (job.status, job.is_final) == ("cancelled", True)
