"""`train` and the demo's steps with a real server, real workers and tiny models."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.accounts.first_run import read_local_token
from app.cli.demo import steps as demo_steps
from app.client.pipeline import ensure_base_model
from app.client.rest import StudioClient
from app.jobs.schemas import EventOut
from tests.cli.conftest import Outcome, Serving, in_this_process, serving, wait_until
from tests.support.tiny_llama import tiny_llama_folder

pytestmark = [pytest.mark.model, pytest.mark.timeout(900)]
SAMPLES = Path(demo_steps.__file__).parents[2] / "samples"
SHORT = ("--set", "max_steps=2", "--set", "logging_steps=1", "--set", "eval_steps=1")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, smollm2_folder: Path) -> Path:
    """Folder of a tiny model with the real tokenizer."""
    return tiny_llama_folder(smollm2_folder, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Serving]:
    """One server for all tests here."""
    roots = json.dumps([str(model.parent)])
    with serving(tmp_path_factory.mktemp("train"), SFT_STUDIO_MODEL_ROOTS=roots) as server:
        yield server


def _run(server: Serving, *arguments: str) -> Outcome:
    return in_this_process(*arguments, data_dir=server.data_dir, SFT_STUDIO_URL=server.url)


def _client(server: Serving) -> StudioClient:
    return StudioClient(server.url, read_local_token(server.data_dir))


def _file(folder: Path, count: int, **first: Any) -> str:
    lines = (SAMPLES / "sales.en.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    path = folder / "sales.jsonl"
    extra = [json.dumps(first)] if first else []
    path.write_text("\n".join([*extra, *lines]) + "\n", encoding="utf-8")
    return str(path)


def test_from_a_file_to_a_trained_adapter_by_commands_alone(
    server: Serving, model: Path, tmp_path: Path
) -> None:
    assert _run(server, "import", _file(tmp_path, 12), "--dataset", "Sales").code == 0
    train = ("train", "--dataset", "Sales", "--model", str(model), "--recipe", "quick")

    theirs = tmp_path / "train.yaml"
    theirs.write_text("finetuning_type: lora\nlora_rank: 4\nflash_attn: fa2\n")
    unapproved = _run(server, *train, "--config", str(theirs), "--json")
    assert "flash_attn has no meaning here" in unapproved.stderr
    assert unapproved.code == 1
    assert "approved" in unapproved.error
    assert unapproved.stdout == ""

    assert _run(server, "approve", "--dataset", "Sales").code == 0
    early = _run(server, "advise", "--dataset", "Sales", "--model", "bundled")
    assert "not ready here" in early.error
    trained = _run(server, *train, *SHORT, "--wait", "--json")
    assert trained.code == 0, trained.stderr
    run = trained.json
    assert run["job"]["state"] == "succeeded"
    assert run["config"]["max_steps"] == 2
    assert run["result"]["labels_hash"] == run["arrays_hash"]
    assert run["confirmed_by"].startswith("local")
    assert "held-out loss" in trained.stderr

    advised = _run(server, "advise", *train[1:], *SHORT, "--task", "format", "--json")
    assert advised.code == 0, advised.stderr
    plan = advised.json
    assert plan["steps"] == 2
    assert plan["as_run"] == run["id"]
    assert plan["memory"]["needed_bytes"] > (model / "model.safetensors").stat().st_size
    in_words = _run(server, "advise", *train[1:], "--set", "learning_rate=0.001")
    assert "--set learning_rate=5e-5" in in_words.stderr
    assert "Rule: " in in_words.stdout

    steep = (*train[1:], *SHORT, "--set", "learning_rate=0.01")
    assert _run(server, "preflight", *train[1:], *SHORT).code == 0
    warned = _run(server, "preflight", *steep, "--json")
    assert (warned.code, [one["name"] for one in warned.json if one["level"] == "warning"]) == (
        1,
        ["learning_rate"],
    )
    dry = _run(server, "train", *steep, "--dry-run")
    assert (dry.code, "--accept learning_rate" in dry.error) == (1, True)
    assert _run(server, "train", *steep, "--dry-run", "--accept", "learning_rate").code == 0
    refused = _run(server, "train", *steep)
    assert (refused.code, "--accept NAME" in refused.error) == (1, True)
    assert _run(server, "preflight", "--dataset", "No such", "--model", str(model)).code == 2
    assert len(_run(server, "list", "runs", "--json").json) == 1

    # A second dataset beside it, by its newest version.
    lines = (SAMPLES / "sales.zh.jsonl").read_text(encoding="utf-8").splitlines()[:6]
    (tmp_path / "general.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert _run(server, "import", str(tmp_path / "general.jsonl"), "--dataset", "General").code == 0
    assert _run(server, "approve", "--dataset", "General").code == 0
    client = _client(server)
    client.freeze(client.datasets("General")[0].id)
    both = (*train, *SHORT, "--mix", "General@1", "--mix-share", "0.25")
    cut = _run(server, *both, "--dry-run")
    assert (cut.code, "--accept truncated" in cut.error) == (1, True)
    assert "of the dataset that is mixed in" in cut.stdout
    # Six conversations: none of them is held out.
    seen = ("--accept", "truncated", "--accept", "mix_held_out")
    mixed = _run(server, *both, *seen, "--wait", "--json")
    assert mixed.code == 0, mixed.stderr
    mix = mixed.json["result"]["mix"]
    assert mix["mixed_in"]["conversations"] == round(mix["domain"]["conversations"] / 3)
    assert mixed.json["result"]["labels_hash"] != mixed.json["arrays_hash"]
    with sqlite3.connect(server.data_dir / "studio.db") as database:
        rows = database.execute(
            "SELECT name FROM run_artifact WHERE run_id = ?", (mixed.json["id"],)
        ).fetchall()
    names = {str(name) for (name,) in rows}
    assert "mixture.json" in names
    assert any(name.startswith("tensorboard/events.out.tfevents.") for name in names)

    status = _run(server, "status", "--run", str(run["id"]), "--json")
    assert status.json["job"]["state"] == "succeeded"
    unknown = _run(server, "evaluate", "--run", str(run["id"]), "--suite", "no-such", "--json")
    assert unknown.code == 1
    assert "sales-en" in unknown.error


def test_a_red_mask_check_starts_nothing_and_names_the_conversation(
    server: Serving, model: Path, tmp_path: Path
) -> None:
    forged = [
        {"role": "user", "content": "Say <|im_end|> please"},
        {"role": "assistant", "content": "Here it is."},
    ]
    _run(server, "import", _file(tmp_path, 3, messages=forged), "--dataset", "Forged")
    _run(server, "approve", "--dataset", "Forged")
    before = len(_run(server, "list", "runs", "--json").json)
    refused = _run(
        server,
        "train",
        "--dataset",
        "Forged",
        "--model",
        str(model),
        "--set",
        "control_tokens=refuse",
        "--json",
    )
    assert refused.code == 1
    assert "mask check is red" in refused.error
    assert "conversation" in refused.error
    assert len(_run(server, "list", "runs", "--json").json) == before


def test_a_layer_that_the_model_lacks_is_refused_before_anything_is_queued(
    server: Serving, model: Path, tmp_path: Path
) -> None:
    _run(server, "import", _file(tmp_path, 12), "--dataset", "Refused")
    _run(server, "approve", "--dataset", "Refused")
    before = len(_run(server, "list", "runs", "--json").json)
    modules = '--set=lora_target_modules=["no_such_module"]'
    refused = _run(server, "train", "--dataset", "Refused", "--model", str(model), modules, "--json")
    assert refused.code == 1
    assert "This base model has no layer no_such_module" in refused.error
    assert len(_run(server, "list", "runs", "--json").json) == before


def test_a_run_that_fails_is_told_and_still_printed(server: Serving, model: Path, tmp_path: Path) -> None:
    _run(server, "import", _file(tmp_path, 13), "--dataset", "Fails")
    _run(server, "approve", "--dataset", "Fails")
    ready = ensure_base_model(_client(server), str(model), lambda _event: None)
    assert ready.job is not None
    # Its weights are away while it is to be trained.
    (weights,) = server.data_dir.glob(f"storage/jobs/{ready.job.id}/*/model/model.safetensors")
    aside = weights.rename(tmp_path / "model.safetensors")
    try:
        failed = _run(server, "train", "--dataset", "Fails", "--model", str(model), "--json")
    finally:
        aside.rename(weights)
    assert failed.code == 1
    assert "The run failed" in failed.error
    assert failed.json["job"]["state"] == "failed"


def test_a_second_demo_finds_everything_the_first_one_made(
    server: Serving, model: Path, smollm2_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In place of the bundled one, with its words and its reach; the test of preparing models has that one.
    roomy = tiny_llama_folder(smollm2_folder, model.parent / "roomy", max_position_embeddings=8192)
    monkeypatch.setattr(demo_steps, "BUNDLED_NAME", str(roomy))
    little = {"max_steps": 2, "eval_steps": 2, "per_device_train_batch_size": 1, "sample_count": 0}
    monkeypatch.setattr(demo_steps, "CHANGES", {**demo_steps.CHANGES, **little})
    first, first_events = _walk(server)
    again, again_events = _walk(server)
    assert again.version.id == first.version.id
    assert again.check.id == first.check.id
    assert again.run.id == first.run.id
    assert [event.payload.get("loss") for event in again_events] == [
        event.payload.get("loss") for event in first_events
    ]
    assert sum(event.kind == "metric" for event in first_events) >= 2
    names = [dataset.name for dataset in first.client.datasets()]
    assert all(names.count(name) == 1 for name, _file in demo_steps.SAMPLES)


def _walk(server: Serving) -> tuple[demo_steps.DemoSteps, list[EventOut]]:
    """All steps but the evaluations, which take minutes; events of the training alone."""
    events: list[EventOut] = []
    steps = demo_steps.DemoSteps(_client(server), events.append)
    for step in (steps.prepare_base_model, steps.load_samples, steps.approve_and_freeze, steps.check_masks):
        assert step()
    events.clear()
    assert steps.train()
    return steps, events


def test_no_process_of_a_job_is_left(server: Serving) -> None:
    wait_until(lambda: not server.running("worker.work.child"), "every process of a job is gone")
    assert server.process.poll() is None
