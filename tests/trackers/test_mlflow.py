"""What MLflow's server may answer instead of doing what it was asked, each told in a sentence that says what helps."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.core.settings import Settings
from app.jobs.models import JobState
from app.trackers.mlflow import MlflowTracker
from app.trackers.story import flattened
from app.trackers.tracker import Ending, Point, RunTold, SentFile, TrackerTrouble
from tests.trackers.mlflow_server import MlflowServer

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
END = Ending(JobState.SUCCEEDED, NOW, None, [SentFile("manifest.json", b"{}")])


def told(**params: str) -> RunTold:
    tags = {"sft_studio.key": "abc"}
    return RunTold("abc", "A run", NOW, "Mei", params, tags, "About it.", None)


def tracker(settings: Settings, seconds: float = 60, **changes: Any) -> MlflowTracker:
    """That waits for an answer as long as a busy machine may take."""
    # As from the environment: a model's copy would not make secrets of texts.
    values = settings.model_dump() | changes
    return MlflowTracker(Settings(**values), time_limit_seconds=seconds)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ((401, "text/plain", b"no"), "SFT_STUDIO_MLFLOW_TOKEN"),
        ((403, "application/json", b'{"error_code": "PERMISSION_DENIED"}'), "does not let us in"),
        ((302, "text/html", b""), "which is not followed"),
        ((404, "text/html", b"<h1>Not here</h1>"), "is not MLflow"),
        ((200, "text/html", b"<h1>Welcome</h1>"), "is not MLflow"),
        ((200, "application/json", b"[]"), "is not MLflow"),
        ((200, "application/json", b'{"experiment": {"experiment_id": 7}}'), "is not MLflow"),
        ((200, "application/json", b"[" * 100_000), "is not MLflow"),
        ((200, "application/json", b" " * (5 * 2**20)), "too long an answer"),
        ((500, "application/json", b'{"error_code": "INTERNAL_ERROR", "message": "disk full"}'), "disk full"),
        ((400, "application/json", b'{"error_code": "BAD", "message": {"a": 1}}'), "status 400"),
    ],
)
def test_each_refusal_says_what_helps(
    settings: Settings, server: MlflowServer, says: tuple[int, str, bytes], words: str
) -> None:
    server.says = says
    one = tracker(settings)
    for ask in (one.look, lambda: one.begin(told(), None)):
        with pytest.raises(TrackerTrouble, match=words):
            ask()
    one.close()


def test_a_server_that_answers_without_end_or_not_at_all_is_left(
    settings: Settings, server: MlflowServer
) -> None:
    one = tracker(settings, seconds=0.2)
    server.silent.set()
    with pytest.raises(TrackerTrouble, match="does not answer"):
        one.look()
    server.silent.clear()
    one._limit = 60
    assert one.look() == "Sales", "the next question has a connection of its own"
    one.close()
    with pytest.raises(TrackerTrouble, match="does not answer"):
        tracker(settings, mlflow_uri="http://127.0.0.1:1").look()


def test_it_is_let_in_by_a_token_or_a_name_and_nothing_is_sent_where_none_is_set(
    settings: Settings, server: MlflowServer
) -> None:
    by_name = {"mlflow_username": "studio", "mlflow_password": "geheim"}
    for changes in ({}, by_name, {**by_name, "mlflow_token": "t0ken"}):
        tracker(settings, **changes).look()
    sent = [headers.get("Authorization") for headers in server.headers]
    assert sent == [None, "Basic c3R1ZGlvOmdlaGVpbQ==", "Bearer t0ken"]
    shown = repr(Settings(**{**settings.model_dump(), **by_name, "mlflow_token": "t0ken"}))
    assert "geheim" not in shown
    assert "t0ken" not in shown


def test_limits_of_a_request_are_kept_and_texts_are_cut_to_them(
    settings: Settings, server: MlflowServer
) -> None:
    one = tracker(settings)
    many = {f"p{number}": "x" * 7000 for number in range(230)}
    link = one.begin(told(**many), None)
    one.tell(told(), link, [Point(step, NOW, {"train/loss": 1.0, "eval/loss": 2.0}) for step in range(1201)])
    assert [batch["params"] for batch in server.batches if batch["params"]] == [100, 100, 30]
    assert [batch["metrics"] for batch in server.batches if batch["metrics"]] == [1000, 1000, 402]
    assert one.begin(told(), None) == link, "it is found by its key"


def test_a_deleted_experiment_is_named_and_one_that_another_worker_makes_is_taken(
    settings: Settings, server: MlflowServer
) -> None:
    one = tracker(settings)
    server.hides_experiments = 1
    server.experiments["Sales"] = {"experiment_id": "5", "lifecycle_stage": "active"}
    assert "/experiments/5/runs/" in (one.begin(told(), None).url or "")
    server.experiments["Sales"]["lifecycle_stage"] = "deleted"
    with pytest.raises(TrackerTrouble, match="“Sales” was deleted"):
        tracker(settings).begin(told(), None)


@pytest.mark.parametrize("place", ["s3://bucket/1/{run}", "mlflow-artifacts://files.example.com/1/{run}"])
def test_files_that_the_server_does_not_pass_on_are_said_to_be_missing(
    settings: Settings, server: MlflowServer, place: str
) -> None:
    server.artifacts = place
    one = tracker(settings)
    link = one.begin(told(), None)
    remark = one.end(told(), link, END)
    assert remark is not None
    assert place.partition("{")[0] in remark.english()
    assert (server.files, server.only_run()["info"]["status"]) == ({}, "FINISHED")


def test_a_config_is_flat_text() -> None:
    values = {
        "lora_r": 64,
        "names": ["q_proj", "v_proj"],
        "mask": {"a": {"b": True}, "c": None},
        "rate": 5e-5,
    }
    assert flattened(values) == {
        "lora_r": "64", "names": "q_proj,v_proj", "mask.a.b": "true", "mask.c": "", "rate": "5e-5"
    }  # fmt: skip
