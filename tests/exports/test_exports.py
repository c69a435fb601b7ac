"""An export is asked for, made, fetched whole and by file, told apart from what was damaged, and deleted, at every door."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.base_models.service import require_base_model
from app.client import speaking
from app.client.rest import StudioClient
from app.client.speaking import ServerUnreachable
from app.core.database import transaction
from app.core.errors import Invalid
from app.exports import service
from app.exports.downloads import Sent, zip_chunks, zip_size, zip_tag
from app.exports.kinds import BY_NAME, KINDS, Choice, ExportKind, read_choices
from app.exports.leftovers import clear_all_leftovers
from app.exports.models import RunExport
from app.interop.handing import TOOLS, Handing, Tool
from app.jobs.models import Job, JobState
from app.runs.service import require_run
from tests.support.exported import ADAPTER_FILES, do_export, keep_provenance, run_with_adapter
from tests.support.judged import judged
from tests.support.people import Person, problem_of, visible_text
from worker.work.exporting.work import writer_of


@pytest.fixture
def run_id(app: FastAPI, silent_bell: None) -> int:
    """A finished run with an adapter."""
    return run_with_adapter(app)


def ask(engineer: Person, run_id: int, kind: str = "adapter") -> int:
    answer = engineer.api.post(f"/api/v1/runs/{run_id}/exports", json={"kind": kind})
    assert answer.status_code == 202, answer.text
    return int(answer.json()["id"])


def test_an_export_is_made_listed_fetched_and_deleted(app: FastAPI, run_id: int, engineer: Person) -> None:
    keep_provenance(app, run_id)
    judged(app, run_id=run_id)
    export_id = ask(engineer, run_id)
    assert ask(engineer, run_id) == export_id, "what is under way is not made twice"
    assert "still being made" in problem_of(engineer.api.delete(f"/api/v1/exports/{export_id}"))
    folder = do_export(app, export_id)

    (told,) = engineer.api.get(f"/api/v1/runs/{run_id}/exports").json()
    assert told == engineer.api.get(f"/api/v1/exports/{export_id}").json()
    assert (told["job"]["state"], told["kind"], told["created_by"][:4]) == ("succeeded", "adapter", "test")
    names = {file["name"] for file in told["files"]}
    assert names == {*ADAPTER_FILES, "sft_studio.json"}
    for file in told["files"]:
        answer = engineer.api.get(f"/api/v1/exports/{export_id}/files/{file['id']}/content")
        assert answer.headers["X-Content-SHA256"] == file["sha256"]
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        assert len(answer.content) == file["size_bytes"] == int(answer.headers["Content-Length"])
    whole = zipfile.ZipFile(io.BytesIO(engineer.api.get(f"/api/v1/exports/{export_id}/zip").content))
    assert whole.testzip() is None
    assert {name.partition("/")[2] for name in whole.namelist()} == names
    weights = whole.read(f"run-{run_id}-adapter/adapter_model.safetensors")
    assert weights == ADAPTER_FILES["adapter_model.safetensors"]

    card = (folder / "README.md").read_text("utf-8")
    for fact in (
        "c" * 64,
        "a" * 64,
        "Recipe: standard",
        "license: apache-2.0",
        "2.0000 nats",
        "checks passed",
    ):
        assert fact in card
    assert "| Sales conversations" in card or "| Sales" in card
    scores = json.loads((folder / "sft_studio.json").read_text("utf-8"))["scores"]
    assert scores["held_out_loss"] == {"base": 3.0, "tuned": 2.0}
    assert scores["suites"][0]["checks_after"] > scores["suites"][0]["checks_before"]

    assert engineer.api.delete(f"/api/v1/exports/{export_id}").status_code == 204
    assert not folder.parent.parent.exists()
    assert engineer.api.get(f"/api/v1/runs/{run_id}/exports").json() == []
    assert engineer.api.get(f"/api/v1/exports/{export_id}").status_code == 404
    with transaction(app.state.engine) as session:
        assert session.get(Job, told["job"]["id"]) is None


def test_a_damaged_file_never_arrives_whole(
    app: FastAPI, run_id: int, engineer: Person, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = ask(engineer, run_id)
    folder = do_export(app, export_id)
    files = {file["name"]: file for file in engineer.api.get(f"/api/v1/exports/{export_id}").json()["files"]}
    path = folder / "adapter_model.safetensors"
    # A little more than what is read at once, so that something was sent before the end is known.
    path.write_bytes(path.read_bytes()[::-1])
    headers = {"Authorization": engineer.api.headers["Authorization"]}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
        place = f"/api/v1/exports/{export_id}"
        for address in (f"{place}/files/{files[path.name]['id']}/content", f"{place}/zip"):
            for part in ({}, {"Range": "bytes=1-"}, {"Range": "bytes=-1"}):
                with pytest.raises(httpx.RemoteProtocolError):
                    client.get(address, headers=part)
    # Who goes on with what breaks off asks no more than a few times for what does not come.
    monkeypatch.setattr(speaking, "_AGAIN_SECONDS", 0)
    got = bytearray()
    with StudioClient(url, headers["Authorization"].removeprefix("Bearer ")) as studio:
        studio.be_patient()
        with pytest.raises(ServerUnreachable, match="broke"):
            studio.export_file(export_id, files[path.name]["id"], got.extend)
    assert len(got) < files[path.name]["size_bytes"]
    path.write_bytes(b"short")
    refused = engineer.api.get(f"/api/v1/exports/{export_id}/zip")
    assert (refused.status_code, "not what was made" in problem_of(refused)) == (409, True)
    path.unlink()
    assert engineer.api.get(f"/api/v1/exports/{export_id}/zip").status_code == 404


def test_what_broke_off_is_gone_on_with_by_file_and_as_a_zip(
    app: FastAPI, run_id: int, engineer: Person
) -> None:
    export_id = ask(engineer, run_id)
    do_export(app, export_id)
    place, get = f"/api/v1/exports/{export_id}", engineer.api.get
    (weights,) = (file for file in get(place).json()["files"] if file["name"].endswith(".safetensors"))
    for address in (f"{place}/files/{weights['id']}/content", f"{place}/zip"):
        whole = get(address)
        size, tag = len(whole.content), whole.headers["ETag"]
        assert (whole.headers["Content-Length"], whole.headers["Accept-Ranges"]) == (str(size), "bytes")
        for asked, start, stop in (
            ("bytes=0-0", 0, 1),
            (f"bytes=100-{size + 9}", 100, size),
            ("bytes=1000-1999", 1000, 2000),
            ("bytes=-5", size - 5, size),
            (f"bytes={size - 1}-", size - 1, size),
        ):
            part = get(address, headers={"Range": asked, "If-Range": tag})
            assert (part.status_code, part.content) == (206, whole.content[start:stop]), asked
            assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
        for asked, known in (
            ("bytes=9-", '"other"'),
            ("bytes=5-3", tag),
            ("lines=1-", tag),
            ("bytes=0-1,4-5", tag),
        ):
            assert get(address, headers={"Range": asked, "If-Range": known}).content == whole.content
        for behind in (f"bytes={size}-", "bytes=-0"):
            refused = get(address, headers={"Range": behind})
            assert (refused.status_code, refused.headers["Content-Range"]) == (416, f"bytes */{size}")
            assert "lies behind them" in problem_of(refused)


def test_how_long_a_zip_is_is_known_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for number, size in enumerate((0, 10, 700, 3, 900)):
        path = tmp_path / f"file{number}"
        path.write_bytes(bytes(size))
        files.append(Sent(f"a/{path.name}", path, size, hashlib.sha256(bytes(size)).hexdigest()))
    # Where lengths and places are past what a zip could hold at first, it is written otherwise.
    for limit in (1 << 31, 800, 500, 5):
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
        for count in range(len(files) + 1):
            assert zip_size(files[:count], "run") == len(b"".join(zip_chunks(files[:count], "run")))
    assert zip_tag(files, "run") != zip_tag(files[:-1], "run")


def test_what_cannot_be_exported_is_refused_in_a_sentence(
    app: FastAPI, run_id: int, engineer: Person, annotator: Person
) -> None:
    post = engineer.api.post
    unknown = post(f"/api/v1/runs/{run_id}/exports", json={"kind": "docx"})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "kind")
    assert "adapter, merged" in problem_of(unknown)
    wrong = post(f"/api/v1/runs/{run_id}/exports", json={"kind": "adapter", "choices": {"size": "1"}})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "choices.size")
    assert annotator.api.post(f"/api/v1/runs/{run_id}/exports", json={"kind": "adapter"}).status_code == 403
    with transaction(app.state.engine) as session:
        model = require_base_model(session, require_run(session, run_id).base_model_id)
        model.info = model.info.model_copy(update={"architecture": "Gemma3ForCausalLM"})
        session.add(model)
    other = post(f"/api/v1/runs/{run_id}/exports", json={"kind": "gguf"})
    assert (other.status_code, other.json()["field"]) == (422, "kind")
    assert "Gemma3ForCausalLM are not written as GGUF here (known: llama, mistral" in problem_of(other)
    export_id = ask(engineer, run_id)
    assert engineer.api.get(f"/api/v1/exports/{export_id}/zip").status_code == 409
    assert annotator.api.get(f"/api/v1/exports/{export_id}").status_code == 200


def test_choices_are_read_with_their_defaults() -> None:
    kind = ExportKind(
        "gguf", "GGUF", "", "package", (Choice("precision", "Precision", (("f16", ""), ("q8_0", ""))),)
    )
    assert read_choices(kind, {}) == {"precision": "f16"}
    assert read_choices(kind, {"precision": "q8_0"}) == {"precision": "q8_0"}
    with pytest.raises(Exception, match="precision cannot be “q1”"):
        read_choices(kind, {"precision": "q1"})


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_kind_has_its_writer(kind: str) -> None:
    assert callable(writer_of(kind).write)


@pytest.mark.parametrize("end", [JobState.CANCELLED, JobState.FAILED])
def test_an_export_that_ended_otherwise_leaves_no_file(
    app: FastAPI, run_id: int, engineer: Person, end: JobState
) -> None:
    folder = do_export(app, ask(engineer, run_id), then=end)
    assert not folder.exists()
    assert [path.name for path in folder.parent.iterdir()] == ["log.txt"]


def test_what_killed_jobs_left_is_swept_up_and_what_serves_an_export_stays(
    app: FastAPI, run_id: int, engineer: Person
) -> None:
    storage = app.state.storage
    export_id = ask(engineer, run_id)
    folder = do_export(app, export_id)
    killed = folder.parent.parent / "7" / ".partial-export"
    killed.mkdir(parents=True)
    ownerless = storage.folder("jobs/4711/1/export")
    waiting = ask(engineer, run_id)
    with transaction(app.state.engine) as session:
        under_way = storage.folder(
            f"jobs/{service.require_export(session, waiting).job_id}/1/.partial-export"
        )
    clear_all_leftovers(app.state.engine, storage)
    assert (folder.is_dir(), under_way.is_dir()) == (True, True)
    assert (killed.exists(), ownerless.exists()) == (False, False)


def test_exports_end_by_themselves_only_where_a_setting_says_so(
    app: FastAPI, run_id: int, engineer: Person
) -> None:
    storage = app.state.storage
    folder = do_export(app, ask(engineer, run_id))
    ask(engineer, run_id)
    with transaction(app.state.engine) as session:
        done = session.exec(select(Job).where(Job.kind == "export", Job.state == "succeeded")).one()
        done.finished_at = done.created_at.replace(year=2020)
        session.add(done)
    with transaction(app.state.engine) as session:
        assert service.expire_exports(session, storage, days=0) == 0
        assert folder.is_dir()
        assert service.expire_exports(session, storage, days=30) == 1
    assert not folder.exists()
    with transaction(app.state.engine) as session:
        (left,) = session.exec(select(RunExport)).all()
        assert not service.export_job(session, left).is_final


def test_the_runs_page_shows_kinds_files_and_how_to_use_them(
    app: FastAPI, run_id: int, engineer: Person, annotator: Person
) -> None:
    page = engineer.browser.get(f"/runs/{run_id}").text
    assert all(kind.title in page for kind in KINDS)
    assert "Make the files" not in annotator.browser.get(f"/runs/{run_id}").text
    plain = engineer.browser.post(f"/runs/{run_id}/exports", data={"kind": "adapter"})
    assert (plain.status_code, plain.headers["location"]) == (303, f"/runs/{run_id}#exports")
    part = engineer.browser.get(f"/runs/{run_id}/exports", headers={"HX-Request": "true"}).text
    assert "every 2s" in part
    assert "Queued" in visible_text(part)
    (waiting,) = engineer.api.get(f"/api/v1/runs/{run_id}/exports").json()
    stopped = engineer.browser.post(
        f"/runs/{run_id}/exports/{waiting['id']}/stop", headers={"HX-Request": "true"}
    )
    assert "Cancelled" in visible_text(stopped.text)
    do_export(app, ask(engineer, run_id))
    shown = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    assert "vllm serve" in shown
    body = {"kind": "llamafactory", "choices": {"base_model": "folder"}}
    assert engineer.api.post(f"/api/v1/runs/{run_id}/exports", json=body).status_code == 202
    told = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    assert "LLaMA-Factory · Base model: in its folder on this server" in " ".join(told.split())
    assert "option for: is refused" not in told
    assert "5 files" in shown
    assert engineer.browser.post(f"/runs/{run_id + 1}/exports/{waiting['id']}/delete").status_code == 404
    gone = engineer.browser.post(f"/runs/{run_id}/exports/{waiting['id']}/delete")
    assert gone.status_code == 303
    assert len(engineer.api.get(f"/api/v1/runs/{run_id}/exports").json()) == 2


def test_erasing_names_and_deletes_exports_that_carry_the_data(
    app: FastAPI, run_id: int, engineer: Person, reviewer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_CARRY_DATA", ("adapter",))
    export_id = ask(engineer, run_id)
    path = "/api/v1/conversations/1"
    assert "an export" in problem_of(reviewer.api.post(f"{path}/erase"))
    folder = do_export(app, export_id)
    held = reviewer.api.get(f"{path}/holders").json()["exports"]
    assert held == [{"id": export_id, "run_id": run_id, "kind": "adapter"}]
    assert f"Export of run {run_id}" in visible_text(reviewer.browser.get("/conversations/1/erase").text)
    assert reviewer.api.post(f"{path}/erase").status_code == 200
    assert not folder.exists()
    assert engineer.api.get(f"/api/v1/exports/{export_id}").status_code == 404


def test_a_run_without_an_adapter_is_refused(app: FastAPI, run_id: int, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id)
        run.adapter_key = None
        session.add(run)
    refused = engineer.api.post(f"/api/v1/runs/{run_id}/exports", json={"kind": "adapter"})
    assert (refused.status_code, "has no adapter" in problem_of(refused)) == (409, True)
    page = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    assert "nothing to take away" in page


def test_a_full_fine_tune_is_exported_for_every_tool_and_as_no_adapter(
    app: FastAPI, run_id: int, engineer: Person
) -> None:
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id)
        run.config = run.config.model_copy(update={"use_peft": False})
        session.add(run)
    path = f"/api/v1/runs/{run_id}/exports"
    refused = engineer.api.post(path, json={"kind": "adapter"})
    assert refused.status_code == 422
    assert "export the run as “merged”" in problem_of(refused)
    assert {
        tool: engineer.api.post(path, json={"kind": tool}).status_code for tool in TOOLS
    } == dict.fromkeys(TOOLS, 202)


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_refusal_offers_every_tool_has(tool: Tool) -> None:
    handing = Handing(tool)
    with pytest.raises(Invalid) as refused:
        handing.cannot("mix_order")
    assert "(otherwise=leave_out)" in str(refused.value)
    assert read_choices(BY_NAME[tool], {"otherwise": "leave_out"})["otherwise"] == "leave_out"
