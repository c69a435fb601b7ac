"""What a person sees while a job runs."""

from collections.abc import Iterator

import pytest
from rich.console import Console

from app.cli import progress
from app.cli.progress import JobProgress
from app.core import console
from app.jobs.schemas import EventOut


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    screen = Console(force_terminal=True, width=120, height=40, record=True, stderr=True)
    for module in (console, progress):
        monkeypatch.setattr(module, "stderr", lambda: screen)
    return screen


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every line is said, however soon after the last."""
    monkeypatch.setattr(progress, "LINE_SECONDS", -1.0)
    console.stderr.cache_clear()
    yield
    console.stderr.cache_clear()


def event(kind: str, **payload: object) -> EventOut:
    return EventOut.model_validate({"seq": 1, "kind": kind, "at": "2026-01-01T00:00:00Z", **payload})


LOST = (
    event("phase", phase="training"),
    event("progress", step=90, total_steps=100),
    event("metric", step=90, loss=1.25),
    event("eval", step=90, eval_loss=1.5),
    event("restored", step=40),
)


def test_a_bar_goes_back_with_the_attempt_that_goes_on_and_shows_no_figure_of_the_lost_one(
    terminal: Console,
) -> None:
    with JobProgress("Training") as view:
        for one in LOST:
            view(one)
        assert view._live is not None
        task = view._live.tasks[0]
        assert (task.completed, task.total, task.fields["note"]) == (40, 100, "Training")
        view(event("metric", step=41, loss=1.75))
        assert "1.7500" in task.fields["note"]


@pytest.mark.usefixtures("plain")
def test_lines_say_where_an_attempt_goes_on_and_no_figure_of_the_lost_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with JobProgress("Training") as view:
        for one in LOST:
            view(one)
    assert capsys.readouterr().err.splitlines()[-1] == "Training: step 40: Training"
