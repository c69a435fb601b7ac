"""The story of a run: what is worth a line, in the reader's language."""

from sqlalchemy import Engine

from app.accounts.who import Who
from app.core.database import reading, transaction
from app.core.i18n import use_locale
from app.jobs import service as jobs
from app.jobs.models import JobKind, JobState
from app.runs.story import MAX_LINES, read_story
from app.sentences import Failure, FailureCode
from tests.support.training import lived_through, metric


def failed_run(engine: Engine) -> int:
    """A run whose first worker died after a checkpoint and whose second one failed."""
    batches: list[list[jobs.EventData]] = [
        [
            ("phase", {"phase": "preparing_data"}),
            ("phase", {"phase": "training"}),
            metric(1, 3.0),
            ("phase", {"phase": "evaluating"}),
            ("eval", {"step": 1, "eval_loss": 2.5}),
            ("phase", {"phase": "training"}),
            ("checkpoint", {"step": 1, "path": "/x"}),
        ],
        [
            ("phase", {"phase": "training"}),
            (
                "log",
                {
                    "level": "info",
                    "sentence": {
                        "template": "Resuming from the checkpoint at step %(step)d.",
                        "values": {"step": 1},
                    },
                },
            ),
        ],
    ]
    claim = lived_through(engine, *batches)
    with transaction(engine) as session:
        message = "There is no conversation %(id)d. It may have been deleted."
        jobs.finish(
            session, claim, state=JobState.FAILED, failure=Failure.of(FailureCode.UNEXPECTED, message, id=7)
        )
    return claim.job_id


def test_the_story_has_what_happened_and_not_the_curves(engine: Engine) -> None:
    job_id = failed_run(engine)
    with reading(engine) as session:
        story = read_story(session, jobs.require_job(session, job_id))
    assert [(line.level, line.text) for line in story] == [
        ("info", "Waits for a worker."),
        ("info", "A worker begins attempt 1."),
        ("info", "Reads the data."),
        ("info", "Training begins."),
        ("info", "Held-out loss 2.5000 after step 1."),
        ("info", "Checkpoint written after step 1."),
        ("warning", "The worker is gone or was told to stop: back in the queue."),
        ("info", "A worker begins attempt 2."),
        ("info", "Training begins."),
        ("info", "Resuming from the checkpoint at step 1."),
        ("error", "There is no conversation 7. It may have been deleted."),
    ]


def test_the_story_is_told_in_the_readers_language(engine: Engine) -> None:
    job_id = failed_run(engine)
    with use_locale("zh_CN"), reading(engine) as session:
        story = read_story(session, jobs.require_job(session, job_id))
    assert story[1].text == "工作进程开始第 1 次尝试。"
    assert not any(line.text.isascii() for line in story)


def test_a_long_story_keeps_its_end(engine: Engine) -> None:
    with transaction(engine) as session:
        job = jobs.enqueue(session, JobKind.TRAIN, created_by=Who("Mei"))
        jobs.append_events(session, job, [("checkpoint", {"step": step}) for step in range(MAX_LINES + 50)])
        story = read_story(session, job)
    assert len(story) == MAX_LINES
    assert story[-1].text == f"Checkpoint written after step {MAX_LINES + 49}."
