"""The doctor finds each thing that is broken, names it, and ends with an exit code; a sound installation is well."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.base_models.models import ModelEntry
from app.core.database import transaction, utc_now
from app.core.settings import Settings
from app.interop.handing import TOOL_VERSIONS
from app.interop.token_files import COLUMNS
from app.jobs.models import Job, JobState
from app.serving.doctor import examine
from app.trackers.wandb import is_installed
from tests.cli.conftest import Outcome, in_this_process


@pytest.fixture
def sound(app: FastAPI, installation: Settings, tmp_path: Path) -> Settings:
    """An installation in which nothing waits and the model has its files."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).touch()
    with transaction(app.state.engine) as session:
        for model in session.exec(select(ModelEntry)):
            model.path = str(folder)
            session.add(model)
        for job in session.exec(select(Job)):
            job.state = JobState.SUCCEEDED
            session.add(job)
    for path in installation.data_dir.glob("studio.db*"):
        path.chmod(0o600)
    return installation


def looked_at(settings: Settings, **more: str) -> tuple[Outcome, dict[str, str]]:
    told = in_this_process("doctor", "--json", data_dir=settings.data_dir, **more)
    return told, {one["check"]: one["level"] for one in told.json}


def test_a_sound_installation_is_well(sound: Settings, tmp_path: Path) -> None:
    told, levels = looked_at(sound, HF_HOME=str(tmp_path))
    assert told.code == 0, told.stdout
    assert set(levels.values()) <= {"ok", "warning"}
    assert {
        "folder",
        "disk",
        "languages",
        "database",
        "schema",
        "files",
        "models",
        "workers",
        "broker",
        "backends",
        "kernels",
        "quantizer",
        "trackers",
    } == set(levels)
    shown = in_this_process("doctor", data_dir=sound.data_dir, LANG="zh_CN.UTF-8")
    assert shown.code == 0


def _open_to_others(settings: Settings) -> None:
    (settings.data_dir / "studio.db").chmod(0o644)


def _change_version(settings: Settings) -> None:
    next((settings.storage_dir / "versions").glob("*.jsonl")).write_text("{}")


def _remove_adapter(settings: Settings) -> None:
    (settings.storage_dir / "jobs/1/1/adapter.safetensors").unlink()


def _remove_model(settings: Settings) -> None:
    shutil.rmtree(settings.data_dir.parent / "small")


def _break_reference(settings: Settings) -> None:
    with sqlite3.connect(settings.data_dir / "studio.db") as database:
        database.execute("UPDATE run SET dataset_version_id = 999")


def _garble_pages(settings: Settings) -> None:
    with sqlite3.connect(settings.data_dir / "studio.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (start,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with (settings.data_dir / "studio.db").open("r+b") as file:
        file.seek((start - 1) * size)
        file.write(b"\xff" * size)


def _older_schema(settings: Settings) -> None:
    with sqlite3.connect(settings.data_dir / "studio.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0003'")


def _no_worker(settings: Settings) -> None:
    with sqlite3.connect(settings.data_dir / "studio.db") as database:
        long_ago = (utc_now() - timedelta(hours=1)).isoformat(sep=" ")
        database.execute("UPDATE job SET state = 'queued', created_at = ?", (long_ago,))


def _file_for_broker(settings: Settings) -> None:
    shutil.rmtree(settings.broker_dir, ignore_errors=True)
    settings.broker_dir.touch()


@pytest.mark.parametrize(
    ("breaks", "check", "words"),
    [
        (_open_to_others, "folder", "studio.db"),
        (_change_version, "files", "version/1"),
        (_remove_adapter, "files", "run/1"),
        (_remove_model, "models", "small"),
        (_break_reference, "database", "refers to what is not there"),
        (_garble_pages, "database", "Restore a backup"),
        (_older_schema, "schema", "sft-studio migrate"),
        (_no_worker, "workers", "No worker"),
        (_file_for_broker, "broker", "should be a folder"),
    ],
)
def test_what_is_broken_is_found_and_named(
    sound: Settings, breaks: Callable[[Settings], None], check: str, words: str
) -> None:
    breaks(sound)
    told, levels = looked_at(sound)
    assert (told.code, levels[check]) == (1, "failure")
    assert words in next(one["detail"] for one in told.json if one["check"] == check)
    assert [name for name, level in levels.items() if level == "failure"] == [check]


def test_a_file_of_accelerate_that_starts_no_run_is_told(sound: Settings, tmp_path: Path) -> None:
    (folder := tmp_path / "accelerate").mkdir()
    settings = sound.model_copy(update={"accelerate_configs": folder})

    def told() -> dict[str, str]:
        found = [
            one for one in examine(settings) if one.check == "backends" and "acceler" in one.text.lower()
        ]
        return {one.text: one.level for one in found}

    assert list(told().values()) == ["warning"]
    (folder / "accelerate-one.yaml").write_text("distributed_type: MULTI_CPU\nnum_processes: 2\n")
    (folder / "accelerate-two.yaml").write_text("distributed_type: NO\n")
    assert list(told().values()) == ["ok", "warning"]


def test_another_trainer_is_told_as_it_is_found(sound: Settings, tmp_path: Path) -> None:
    def told() -> tuple[str, str]:
        settings = sound.model_copy(update={"llamafactory_env": tmp_path / "env"})
        (found,) = [
            one for one in examine(settings) if "LLaMA-Factory" in one.text and "Not named" not in one.text
        ]
        assert found.check == "backends"
        return found.level, found.text

    def install(version: str) -> None:
        described = tmp_path / "env/lib/python3.12/site-packages/llamafactory.dist-info/METADATA"
        described.parent.mkdir(parents=True, exist_ok=True)
        described.write_text(f"Metadata-Version: 2.1\nName: llamafactory\nVersion: {version}\n")

    assert told()[0] == "warning"
    assert f"is not installed in {tmp_path / 'env'}, which SFT_STUDIO_LLAMAFACTORY_ENV names" in told()[1]
    programs = tmp_path / "env" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    install(TOOL_VERSIONS["llamafactory"])
    assert told()[0] == "warning"
    assert (
        f"{programs / 'llamafactory-cli'} is missing, or was made for an environment that has been moved"
        in told()[1]
    )
    (programs / "llamafactory-cli").write_text(f"#!{programs / 'python'}\n")
    assert told()[0] == "ok"
    assert f"LLaMA-Factory {TOOL_VERSIONS['llamafactory']} can train as a backend" in told()[1]
    install("0.1")
    assert told()[0] == "ok"
    assert (
        f"LLaMA-Factory 0.1 can train as a backend ({programs / 'python'}); what it is told was tried with"
        in told()[1]
    )


def test_a_quantizer_that_is_named_and_not_there_is_told(sound: Settings, tmp_path: Path) -> None:
    def told(place: Path | None) -> tuple[str, str]:
        settings = sound.model_copy(update={"llama_quantize": place})
        (found,) = [one for one in examine(settings) if one.check == "quantizer"]
        return found.level, found.text

    assert "SFT_STUDIO_LLAMA_QUANTIZE" in told(tmp_path)[1]
    assert told(tmp_path)[0] == "warning"
    program = tmp_path / "llama-quantize"
    program.touch(0o755)
    assert told(program) == (
        "ok",
        f"q6_k, q5_k_m and q4_k_m can be exported: llama-quantize is in {program}.",
    )


def test_without_a_folder_the_doctor_says_so_and_makes_none(tmp_path: Path) -> None:
    told, levels = looked_at(Settings(data_dir=tmp_path / "none"))
    assert (told.code, levels["folder"]) == (1, "failure")
    assert not (tmp_path / "none").exists()


def test_a_tracker_that_cannot_be_told_is_a_warning_and_no_failure(sound: Settings) -> None:
    told, levels = looked_at(
        sound, SFT_STUDIO_MLFLOW_URI="http://127.0.0.1:1/", SFT_STUDIO_WANDB_PROJECT="sales"
    )
    assert (told.code, levels["trackers"]) == (0, "warning" if not is_installed() else "ok")
    said = " ".join(one["detail"] for one in told.json if one["check"] == "trackers")
    assert "MLflow at http://127.0.0.1:1 does not answer" in said
    wrong = in_this_process("doctor", data_dir=sound.data_dir, SFT_STUDIO_MLFLOW_URI="http://me:pw@host/")
    assert wrong.code == 1
    assert "SFT_STUDIO_MLFLOW_URI must be a whole address" in wrong.error
    assert "pw" not in wrong.error


def test_copies_of_tokens_in_the_cache_of_other_trainers_are_told_with_their_removal_and_nobody_elses(
    sound: Settings, tmp_path: Path
) -> None:
    cache = tmp_path / "huggingface" / "datasets"
    columns = {
        name: {"feature": {"dtype": kind, "_type": "Value"}, "_type": "List"}
        for name, kind in COLUMNS.items()
    }
    others = {**columns, "labels": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"}}
    told: dict[str, object] = {
        "parquet/default-1": {"features": columns},
        "parquet/default-2": {"features": others},
        "parquet/default-3": {"features": {**columns, "text": {"dtype": "string"}}},
        "parquet/default-4": [],
    }
    for name, info in told.items():
        folder = cache / name / "0.0.0" / "f00"
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text(json.dumps(info))
        (folder / "parquet-train.arrow").write_bytes(b"x" * 3_000)
    told_by, levels = looked_at(sound, HF_HOME=str(tmp_path / "huggingface"))
    assert (told_by.code, levels["token_copies"]) == (0, "warning")
    (text,) = (one["detail"] for one in told_by.json if one["check"] == "token_copies")
    assert "(folders: 1, " in text
    assert text.endswith(f"rm -r {cache / 'parquet' / 'default-1'}")
    shutil.rmtree(cache / "parquet" / "default-1")
    assert "token_copies" not in looked_at(sound, HF_HOME=str(tmp_path / "huggingface"))[1]
    assert all((cache / f"parquet/default-{number}").is_dir() for number in (2, 3, 4))
    # Where nothing else is left, the folder goes as a whole.
    shutil.copytree(cache / "parquet", tmp_path / "ours" / "datasets" / "parquet")
    for number in (2, 3, 4):
        folder = tmp_path / f"ours/datasets/parquet/default-{number}/0.0.0/f00"
        (folder / "dataset_info.json").write_text(json.dumps({"features": columns}))
    (whole,) = (
        one["detail"]
        for one in looked_at(sound, HF_HOME=str(tmp_path / "ours"))[0].json
        if one["check"] == "token_copies"
    )
    assert whole.endswith(f"rm -r {tmp_path / 'ours/datasets/parquet'}")
