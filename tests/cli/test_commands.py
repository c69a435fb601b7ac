"""What each command says when it cannot do what was asked: one line, a non-zero exit code, nothing half-done."""

import json
import socket
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, LiveServer, environment, in_this_process, sft_studio
from tests.support.servers import free_port

CLIENT_COMMANDS = (
    ("import", "FILE", "--dataset", "x"),
    ("approve", "--dataset", "x"),
    ("export", "--dataset", "x", "--as", "csv", "--out", "OUT"),
    ("train", "--dataset", "x", "--model", "bundled"),
    ("evaluate", "--run", "1", "--suite", "sales-en"),
    ("list", "runs"),
    ("status",),
)
DIALOGUE = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good file with two conversations."""
    path = tmp_path / "good.jsonl"
    other = {"messages": [{"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Goodbye"}]}
    path.write_text(json.dumps(DIALOGUE) + "\n" + json.dumps(other) + "\n")
    return path


def _with(file: Path, arguments: tuple[str, ...]) -> list[str]:
    paths = {"FILE": str(file), "OUT": str(file.parent / "out")}
    return [paths.get(argument, argument) for argument in arguments]


@pytest.mark.parametrize("arguments", CLIENT_COMMANDS, ids=lambda arguments: arguments[0])
def test_a_server_that_does_not_answer_is_named(
    file: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    outcome = in_this_process(*_with(file, arguments), "--url", url, data_dir=tmp_path / "data")
    assert outcome.code == 1
    assert url in outcome.error
    assert "sft-studio serve" in outcome.error
    assert outcome.stdout == ""


@pytest.mark.parametrize("arguments", CLIENT_COMMANDS, ids=lambda arguments: arguments[0])
def test_a_wrong_token_is_refused_with_the_way_out(
    live: LiveServer, file: Path, arguments: tuple[str, ...]
) -> None:
    outcome = live.run(*_with(file, arguments), SFT_STUDIO_TOKEN="sft_wrong")
    assert outcome.code == 1
    assert "SFT_STUDIO_TOKEN" in outcome.error


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8000", "is not an address"),
        ("ftp://x", "is not an address"),
        ("http://", "is not an address"),
    ],
)
def test_an_address_that_is_none_is_said(tmp_path: Path, url: str, said: str) -> None:
    assert said in in_this_process("status", "--url", url, data_dir=tmp_path / "data").error


class _Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen_headers.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>Welcome to nginx</html>")

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


def test_something_else_at_the_address_is_not_mistaken_for_a_server(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _Stranger) as stranger:
        stranger.seen_headers = []  # type: ignore[attr-defined]
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{stranger.server_port}"
        outcome = in_this_process("list", "datasets", "--url", url, data_dir=tmp_path / "data")
        stranger.shutdown()
    assert "is not SFT Studio" in outcome.error
    assert outcome.code == 1


def test_the_local_token_is_not_sent_to_another_machine(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "local-token").write_text("sft_secret")
    code = (
        "from app.client.rest import StudioClient; from app.core.settings import Settings; import pathlib, sys;"
        "settings = Settings(data_dir=pathlib.Path(sys.argv[1]));"
        "print([StudioClient.from_settings(settings, url)._http.headers.get('authorization') for url in sys.argv[2:]])"
    )
    arguments = [sys.executable, "-c", code, str(data), "http://127.0.0.1:8000", "http://studio.example.com"]
    done = subprocess.run(
        arguments, capture_output=True, text=True, env=environment(data), check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "['Bearer sft_secret', None]"


def test_import_makes_the_dataset_and_tells_what_came_in(live: LiveServer, file: Path) -> None:
    first = live.run("import", str(file), "--dataset", "Sales", "--json")
    assert first.code == 0
    assert (first.json["accepted"], first.json["duplicates"]) == (2, 0)
    again = live.run("import", str(file), "--dataset", "Sales", "--json")
    assert (again.json["accepted"], again.json["duplicates"]) == (0, 2)
    listed = live.run("list", "datasets", "--json").json
    assert [(item["name"], item["draft"]) for item in listed] == [("Sales", 2)]


def test_a_file_of_another_layout_comes_in_by_a_mapping_and_corrections_as_was_chosen(
    live: LiveServer, tmp_path: Path
) -> None:
    export, mapping = tmp_path / "export.csv", tmp_path / "export.yaml"
    export.write_bytes("who,room,words\n甲方,1,多少钱\n我,1,六百八\n".encode("gbk"))
    mapping.write_text(
        "turns: rows\nconversation: room\nside: who\ntext: words\nsides: {我: assistant}\nothers: user\n"
    )
    refused = live.run("import", str(export), "--dataset", "Sales")
    assert refused.code == 1
    assert "--mapping" in refused.stderr
    command = ("import", str(export), "--dataset", "Sales", "--json")
    done = live.run(*command, "--mapping", str(mapping), "--encoding", "gb18030")
    assert (done.code, done.json["accepted"]) == (0, 1)
    export.write_bytes("who,room,words\n甲方,1,多少钱\n我,1,七百\n".encode("gbk"))
    with export.open("ab") as more:
        more.write("丙方,,在吗\n".encode("gbk"))  # it belongs to no dialogue
    command = (*command, "--mapping", str(mapping), "--skip-bad")
    asked = live.run(*command, "--same-questions", "ask")
    assert asked.code == 1
    assert "--same-questions" in asked.stderr
    replaced = live.run(*command, "--same-questions", "replace")
    assert replaced.code == 0
    assert (replaced.json["accepted"], replaced.json["replaced"]) == (0, 1)


def test_a_bad_line_keeps_everything_out_unless_it_may_be_skipped(live: LiveServer, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps(DIALOGUE) + '\n{"messages": [{"role": "us\n')
    refused = live.run("import", str(bad), "--dataset", "Sales", "--json")
    assert refused.code == 1
    assert "--skip-bad" in refused.error
    assert "line 2" in refused.stderr
    assert refused.json["accepted"] == 0
    assert refused.json["problems"][0]["line"] == 2
    taken = live.run("import", str(bad), "--dataset", "Sales", "--skip-bad", "--json")
    assert taken.code == 0
    assert (taken.json["accepted"], taken.json["problem_count"]) == (1, 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "Cannot read"),
        (lambda path: path.mkdir(), "Cannot read"),
        (lambda path: path.write_bytes(b""), "is empty"),
    ],
    ids=["absent", "a folder", "empty"],
)
def test_a_file_that_cannot_be_imported_makes_no_dataset(
    live: LiveServer, tmp_path: Path, make: object, said: str
) -> None:
    path = tmp_path / "file.jsonl"
    make(path)  # type: ignore[operator]
    outcome = live.run("import", str(path), "--dataset", "Sales")
    assert outcome.code == 1
    assert said in outcome.error
    assert str(path) in outcome.error
    assert live.run("list", "datasets", "--json").json == []


def test_a_file_over_the_limit_is_refused_with_the_limit(live: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    outcome = live.run("import", str(path), "--dataset", "Sales")
    assert outcome.code == 1
    assert "64 MB" in outcome.error


def test_a_format_that_does_not_exist_is_refused_with_those_that_do(live: LiveServer, file: Path) -> None:
    outcome = live.run("import", str(file), "--dataset", "Sales", "--format", "xml")
    assert outcome.code == 2
    assert "sharegpt" in outcome.error


def test_an_unknown_dataset_is_named_with_how_to_make_it(live: LiveServer) -> None:
    for command in (("train", "--model", "bundled"), ("approve",)):
        outcome = live.run(*command, "--dataset", "No such", "--json")
        assert outcome.code == 1
        assert "No such" in outcome.error
        assert "sft-studio import" in outcome.error
        assert outcome.stdout == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "learning_rate"), "key=value"),
        (("--set", "=3"), "key=value"),
        (("--set", "lerning_rate=1e-4"), "lerning_rate"),
        (("--set", "learning_rate=high"), "learning_rate"),
        (("--set", "lora_r=0"), "lora_r"),
        (("--set", "lora_r=8", "--set", "lora_r=16"), "twice"),
        (("--recipe", "tasty"), "quick"),
        (("--model", "no-such-model"), "no-such-model"),
    ],
)
def test_a_bad_setting_is_refused_before_anything_is_done(
    live: LiveServer, file: Path, options: tuple[str, ...], said: str
) -> None:
    live.run("import", str(file), "--dataset", "Sales")
    model = () if "--model" in options else ("--model", "bundled")
    outcome = live.run("train", "--dataset", "Sales", *model, *options)
    assert outcome.code == 1
    assert said in outcome.error
    assert live.run("list", "runs", "--json").json == []
    assert live.run("list", "models", "--json").json == []


def test_an_unknown_run_or_suite_is_the_servers_to_say(live: LiveServer) -> None:
    assert "There is no run 99" in live.run("evaluate", "--run", "99", "--suite", "sales-en").error
    assert "There is no run 99" in live.run("status", "--run", "99").error
    assert live.run("evaluate", "--run", "x", "--suite", "sales-en").code == 2


def test_approving_takes_every_draft(live: LiveServer, file: Path) -> None:
    live.run("import", str(file), "--dataset", "Sales")
    assert live.run("approve", "--dataset", "Sales", "--json").json["changed"] == 2
    assert live.run("list", "datasets", "--json").json[0]["approved"] == 2


def test_the_terminals_language_is_spoken_also_by_the_server(live: LiveServer) -> None:
    outcome = live.run("evaluate", "--run", "99", "--suite", "sales-en", LANG="zh_CN.UTF-8")
    assert "训练任务" in outcome.error
    assert "数据集" in live.run("approve", "--dataset", "x", LANG="zh_CN.UTF-8").error


def test_json_stays_json_in_a_terminal_that_knows_only_ascii(live: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "zh.jsonl"
    path.write_text(json.dumps(DIALOGUE))
    live.run("import", str(path), "--dataset", "销售😀")
    ascii_only = {"data_dir": live.settings.data_dir, "SFT_STUDIO_URL": live.url, "PYTHONIOENCODING": "ascii"}
    assert sft_studio("list", "datasets", "--json", **ascii_only).json[0]["name"] == "销售😀"  # type: ignore[arg-type]
    assert sft_studio("list", "datasets", **ascii_only).code == 0  # type: ignore[arg-type]


def test_mistakes_of_usage_are_one_line_too(tmp_path: Path) -> None:
    for arguments in (("bogus",), ("train",), ("list", "bogus"), ("serve", "--port", "99999"), ("--bogus",)):
        outcome = in_this_process(*arguments, data_dir=tmp_path / "data")
        assert outcome.code == 2
        assert "--help" in outcome.error


def test_a_setting_of_the_environment_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    outcome = in_this_process("serve", data_dir=tmp_path / "data", SFT_STUDIO_PORT="many")
    assert outcome.code == 1
    assert "SFT_STUDIO_PORT" in outcome.error


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, not a folder")
    for command in ("serve", "demo", "migrate", "worker"):
        outcome = in_this_process(command, data_dir=blocked / "data")
        assert outcome.code == 1
        assert "SFT_STUDIO_DATA" in outcome.error


def test_a_database_out_of_reach_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://studio:geheim@127.0.0.1:{free_port()}/studio"
    for command in (("serve", "--port", str(free_port())), ("migrate",), ("worker",)):
        outcome = in_this_process(*command, data_dir=tmp_path / "data", DATABASE_URL=url)
        assert outcome.code == 1
        assert "DATABASE_URL" in outcome.error
        assert "geheim" not in outcome.stderr
    outcome = in_this_process("migrate", data_dir=tmp_path / "data", DATABASE_URL="nonsense")
    assert "DATABASE_URL" in outcome.error


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "studio.db").write_text("this is no database " * 100)
    outcome = in_this_process("migrate", data_dir=data)
    assert outcome.code == 1
    assert "studio.db" in outcome.error


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert in_this_process("migrate", data_dir=data).code == 0
    with sqlite3.connect(data / "studio.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'future'")
    connection.close()
    for command in (("migrate",), ("worker",), ("web", "--port", str(free_port()))):
        assert "newer" in in_this_process(*command, data_dir=data).error


def test_who_cannot_migrate_asks_for_it(tmp_path: Path) -> None:
    for command in (("worker",), ("web", "--port", str(free_port()))):
        outcome = in_this_process(*command, data_dir=tmp_path / "data")
        assert outcome.code == 1
        assert "sft-studio migrate" in outcome.error


def test_redis_out_of_reach_is_said(tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    outcome = in_this_process("serve", "--port", str(free_port()), data_dir=tmp_path / "data", REDIS_URL=url)
    assert outcome.code == 1
    assert "REDIS_URL" in outcome.error


def test_an_unknown_queue_is_refused_with_those_there_are(tmp_path: Path) -> None:
    outcome = in_this_process("worker", "--queues", "training,fast", data_dir=tmp_path / "data")
    assert outcome.code == 1
    assert "fast" in outcome.error
    assert "interactive" in outcome.error


def test_the_queues_named_are_those_that_the_application_uses() -> None:
    from app.cli.maintaining import KNOWN_QUEUES
    from app.jobs.bell import DEFAULT_QUEUE, QUEUES

    assert set(KNOWN_QUEUES) == {DEFAULT_QUEUE, *QUEUES.values()}


def test_the_mask_settings_of_set_are_those_that_masks_have() -> None:
    from dataclasses import fields

    from app.mask_settings.fields import MASK_FIELD_NAMES
    from app.masking import MaskSettings
    from app.recipes.config import TrainingConfig

    assert {field.name for field in fields(MaskSettings)} == set(MASK_FIELD_NAMES)
    assert not set(MASK_FIELD_NAMES) & set(TrainingConfig.model_fields)


def test_a_host_that_is_not_this_machine_is_refused(tmp_path: Path) -> None:
    for host in ("203.0.113.7", "no.such.host.invalid"):
        outcome = in_this_process(
            "serve", "--host", host, "--port", str(free_port()), data_dir=tmp_path / "data"
        )
        assert outcome.code == 1
        assert host in outcome.error


def test_a_reader_that_goes_away_is_no_failure_to_explain(live: LiveServer) -> None:
    environment_ = environment(live.settings.data_dir, SFT_STUDIO_URL=live.url)
    reader, writer = socket.socketpair()
    reader.close()
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "list", "recipes", "--json"],
        stdout=writer.fileno(),
        stderr=subprocess.PIPE,
        text=True,
        env=environment_,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    writer.close()
    assert done.returncode == 141
    assert done.stderr == ""


def test_an_empty_command_line_shows_the_commands(tmp_path: Path) -> None:
    outcome = in_this_process(data_dir=tmp_path / "data")
    assert outcome.code == 2
    assert "train" in outcome.stdout + outcome.stderr
    assert "Traceback" not in outcome.stderr
