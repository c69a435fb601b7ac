"""`export`: files of another tool in a folder, all of them or none."""

import json
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import LiveServer

QUESTION = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
DIALOGUES = [
    [{**QUESTION, "content": "Good morning"}, ANSWER],
    [QUESTION, {**ANSWER, "train": True}, QUESTION, {**ANSWER, "train": False}],
]


@pytest.fixture
def version(live: LiveServer, tmp_path: Path) -> int:
    """Version 1 of the dataset “Sales”."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in DIALOGUES))
    assert live.run("import", str(path), "--dataset", "Sales").code == 0
    assert live.run("approve", "--dataset", "Sales").code == 0
    headers = {"Authorization": f"Bearer {live.token}"}
    answer = httpx.post(f"{live.url}/api/v1/datasets/1/versions", headers=headers, trust_env=False)
    assert answer.status_code == 201
    return int(answer.json()["number"])


def test_a_version_becomes_files_in_a_folder(live: LiveServer, version: int, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    done = live.run("export", "--dataset", "Sales", "--as", "axolotl", "--out", str(out), "--json")
    assert done.code == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["config.yml", "train.jsonl"]
    assert done.json["files"] == [str(out / "config.yml"), str(out / "train.jsonl")]
    assert (done.json["conversations"], done.json["version"]) == (2, version)


def test_files_that_are_there_are_not_overwritten(live: LiveServer, version: int, tmp_path: Path) -> None:
    arguments = (
        "export",
        "--dataset",
        "Sales",
        "--version",
        "1",
        "--as",
        "messages",
        "--out",
        str(tmp_path / "o"),
    )
    assert live.run(*arguments).code == 0
    before = (tmp_path / "o" / "sales_v1.messages.jsonl").read_bytes()
    again = live.run(*arguments)
    assert again.code == 1
    assert "is already there" in again.error
    assert [path.read_bytes() for path in (tmp_path / "o").iterdir()] == [before]


def test_flags_that_do_not_fit_are_refused_with_the_way_out_and_leave_no_file(
    live: LiveServer, version: int, tmp_path: Path
) -> None:
    arguments = ("export", "--dataset", "Sales", "--as", "llamafactory", "--out", str(tmp_path / "o"))
    refused = live.run(*arguments)
    assert refused.code == 1
    assert "has no flags for single turns" in refused.error
    assert not (tmp_path / "o").exists()
    split = live.run(*arguments, "--flags", "split", "--json")
    assert (split.json["samples"], split.json["mask"]) == (2, "last_assistant")


def test_versions_and_datasets_that_do_not_exist_are_named(
    live: LiveServer, version: int, tmp_path: Path
) -> None:
    out = ("--as", "csv", "--out", str(tmp_path / "o"))
    assert (
        "no version 7. There are: 1" in live.run("export", "--dataset", "Sales", "--version", "7", *out).error
    )
    assert "There is no dataset “None”" in live.run("export", "--dataset", "None", *out).error
    file = tmp_path / "file"
    file.touch()
    not_a_folder = ("--as", "csv", "--out", str(file))
    assert "cannot be written" in live.run("export", "--dataset", "Sales", *not_a_folder).error
    wrong = live.run("export", "--dataset", "Sales", "--as", "docx", "--out", str(tmp_path / "o"))
    assert wrong.code == 2
    assert "llamafactory" in wrong.error


def test_an_export_for_llamafactory_is_imported_again_with_its_dataset_info(
    live: LiveServer, version: int, tmp_path: Path
) -> None:
    out = tmp_path / "o"
    arguments = ("--as", "llamafactory", "--flags", "split", "--out", str(out))
    assert live.run("export", "--dataset", "Sales", *arguments).code == 0
    info = ("--dataset-info", str(out / "dataset_info.json"), "--mask", "last_assistant")
    back = live.run("import", str(out / "train.jsonl"), "--dataset", "Back", *info, "--json")
    assert (back.code, back.json["accepted"]) == (0, 2)
    moved = (out / "train.jsonl").rename(out / "moved.jsonl")
    (out / "dataset_info.json").write_text('{"a": {}, "b": {}}')
    refused = live.run("import", str(moved), "--dataset", "Back", *info)
    assert refused.code == 1
    assert "Say which entry describes it: a, b" in refused.error
    named = live.run("import", str(moved), "--dataset", "Back", *info, "--dataset-info-entry", "c")
    assert "has no entry “c”" in named.error
    missing = live.run("import", str(moved), "--dataset", "Back", "--dataset-info", str(tmp_path / "none"))
    assert "Cannot read" in missing.error
