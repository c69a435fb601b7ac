"""Every command, and every command line that compose, image, Makefile and documents tell people to use, is started."""

import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import typer

from app.cli.commands import build
from app.cli.exit_codes import NOT_JUDGED
from app.interop.handing import COMMANDS as COMMANDS_OF_TRAINERS
from tests.cli.conftest import ROOT, LiveServer, environment, in_this_process, wait_until
from tests.support.command_lines import all_command_lines, healthcheck_of_web, studio_commands
from tests.support.processes import all_gone, end, family_of
from tests.support.servers import free_port
from tests.support.tokenizers import smollm2_folder

__all__ = ["smollm2_folder"]
pytestmark = pytest.mark.timeout(240)
# Commands that run until they are told to stop: what they say when they are ready, and how SIGTERM ends them.
READY = {
    "serve": ("SFT Studio runs at", 0),
    "web": ("SFT Studio runs at", 0),
    "demo": ("/login/link?code=", 143),
    "worker": (" ready.", 0),
}
# What no document names.
UNNAMED = (
    ("advise", "--dataset", "Sales calls", "--model", "./my-model"),
    ("preflight", "--dataset", "Sales calls", "--model", "./my-model"),
    ("approve", "--dataset", "Sales calls"),
    ("diagnose", "--run", "7"),
    ("samples", "--run", "7"),
    ("checklist", "--run", "7"),
    ("exports", "stop", "12"),
    ("again", "--run", "7"),
    ("pause", "--run", "7"),
    ("resume", "--run", "7"),
    ("stop", "--run", "7", "--discard"),
    ("checkpoints", "--run", "7"),
    ("keep", "--run", "7", "--step", "40", "--no-wait"),
    ("manifest", "--run", "7"),
    ("compare", "--run", "7", "--run", "8"),
    ("list", "runs"),
    ("status",),
    ("erase", "1"),
    ("people", "list"),
    ("people", "add", "Mei"),
    ("people", "role", "Mei", "reviewer"),
    ("people", "close", "Mei"),
    ("people", "reopen", "Mei"),
    ("masks", "preview", "--model", "./my-model", "--input", "calls.jsonl"),
)
COMMANDS = [*studio_commands(), *UNNAMED]
LASTING = [command for command in COMMANDS if command[0] in READY]
# One of each is started as a background job of a shell, which has SIGINT ignored.
BEHIND_SHELL = [
    next(command for command in LASTING if command[0] == name) for name in ("worker", "web", "serve")
]
ENDING = [command for command in COMMANDS if command[0] not in READY]
TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


@dataclass
class Started:
    """A process of a command that lasts, and what it said so far."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        """Both of its streams."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def is_ready(self, sign: str) -> bool:
        """Whether it says so; fails at once when it has ended instead."""
        assert self.process.poll() is None, self.said
        return sign in self.said


@contextmanager
def started(folder: Path, command: list[str], port: int) -> Iterator[Started]:
    """The command with a data folder below `folder`; neither it nor a child of it is left."""
    output = folder / "said.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment(folder / "data", SFT_STUDIO_PORT=str(port)),
            cwd="/",
            start_new_session=True,
        )
    try:
        yield Started(process, output)
    finally:
        end(family_of(process.pid) if process.poll() is None else [])
        process.wait(60)


@pytest.fixture
def place(tmp_path: Path, migrated_file: Path) -> Path:
    """A folder, and in it a data folder that `migrate` was run on."""
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(migrated_file, tmp_path / "data" / "studio.db")
    return tmp_path


@pytest.mark.parametrize("arguments", LASTING, ids=" ".join)
def test_a_command_that_lasts_gets_ready_and_ends_when_told_to(
    place: Path, arguments: tuple[str, ...]
) -> None:
    sign, code = READY[arguments[0]]
    port = free_port()
    command = [sys.executable, "-m", "app.cli", *arguments]
    behind_shell = arguments in BEHIND_SHELL
    if behind_shell:
        command = ["bash", "-c", f"{shlex.join(command)} & echo job $!; wait $!"]
    with started(place, command, port) as it:
        wait_until(lambda: it.is_ready(sign), "it is ready", 90)
        family = family_of(it.process.pid)
        if arguments[0] == "web":
            check = [word.replace(":8000", f":{port}") for word in healthcheck_of_web()]
            subprocess.run([sys.executable, *check[1:]], check=True, timeout=120)
        job = next((line.split()[1] for line in it.said.splitlines() if line.startswith("job ")), "")
        os.kill(int(job) if behind_shell else it.process.pid, signal.SIGTERM)
        assert it.process.wait(60) == code, it.said
        wait_until(lambda: all_gone(family), "every process is gone")
        assert "Traceback" not in it.said


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smollm2_folder: Path) -> Path:
    """The current folder of somebody who types the documents' commands: the files are there."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "calls.jsonl").write_text(json.dumps({"messages": TURNS}) + "\n")
    said = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    (folder / "talks.json").write_text(json.dumps([{"conversations": said}]))
    told = {"talks": {"file_name": "talks.json", "formatting": "sharegpt"}}
    (folder / "dataset_info.json").write_text(json.dumps(told))
    (folder / "export.csv").write_text("who,room,words\nAnn,1,How much?\nme,1,Ten.\n")
    (folder / "wechat.yaml").write_text(
        "turns: rows\nconversation: room\nside: who\ntext: words\nsides: {me: assistant}\nothers: user\n"
    )
    shutil.copytree(smollm2_folder, folder / "my-model")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("arguments", ENDING, ids=" ".join)
def test_a_command_that_ends_does_its_work_or_says_in_one_line_what_is_missing(
    desk: Path, live: LiveServer, arguments: tuple[str, ...]
) -> None:
    outcome = live.run(*arguments)
    if outcome.code:
        # The server has no dataset that is frozen, no run, no worker, and a data folder: that is what the line is about.
        assert outcome.code == (NOT_JUDGED if arguments[0] in ("gate", "preflight") else 1)
        assert any(
            thing in outcome.error
            for thing in (
                "Sales calls",
                "销售通话",
                "run 7",
                "is not empty",
                "something broken",
                "conversation 1",
                "nobody named",
                "no job 12",
                "no webhook 3",
                "no delivery 41",
                "is not allowed",
                "Short calls",
                "short-calls.yaml",
                "no sweep 3",
                "no export 12",
                "Qwen3-0.6B",
            )
        ), outcome.error
    else:
        assert arguments[0] in {
            "migrate",
            "import",
            "list",
            "status",
            "masks",
            "backup",
            "doctor",
            "people",
            "queue",
            "notices",
            "webhooks",
            "recipes",
            "sweeps",
            "exports",
            "models",
        }
        assert "Traceback" not in outcome.stderr


def test_an_export_as_documented_writes_what_was_imported_as_documented(desk: Path, live: LiveServer) -> None:
    commands = [command for command in ENDING if "Sales calls" in command]
    for verb in ("import", "approve"):
        for command in (command for command in commands if command[0] == verb):
            assert live.run(*command).code == 0
    with httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {live.token}"}) as client:
        dataset = client.get("/api/v1/datasets").json()[0]
        client.post(f"/api/v1/datasets/{dataset['id']}/versions").raise_for_status()
    for command in (command for command in commands if command[0] == "export"):
        outcome = live.run(*command)
        assert outcome.code == 0, outcome.stderr
        assert any((desk / command[command.index("--out") + 1]).iterdir())


def test_no_command_is_forgotten() -> None:
    listed = typer.main.get_command(build(["--help"]))
    assert isinstance(listed, typer.core.TyperGroup)
    for name in listed.commands:
        group = typer.main.get_command(build([name]))
        assert isinstance(group, typer.core.TyperGroup)
        command = group.commands[name]
        assert command.help == listed.commands[name].help
        if isinstance(command, typer.core.TyperGroup):
            wanted = {(name, verb) for verb in command.commands}
            assert wanted <= {line[:2] for line in COMMANDS}
        else:
            assert name in {line[0] for line in COMMANDS}


def test_the_python_modules_that_are_named_are_there() -> None:
    # Another trainer's stands in its own environment, and in the command that its exports name.
    elsewhere = {line.split()[2] for line in COMMANDS_OF_TRAINERS.values() if line.startswith("python -m")}
    for line in all_command_lines():
        if line.program == "python" and "-m" in line.words:
            module = line.words[line.words.index("-m") + 1]
            assert module in elsewhere or importlib.util.find_spec(module) is not None, line


def test_the_command_lines_of_every_kind_of_file_are_found() -> None:
    files = {line.file for line in all_command_lines()}
    assert {
        "README.md",
        "README.zh-CN.md",
        "CONTRIBUTING.md",
        "docker-compose.yml",
        "Dockerfile",
        "Makefile",
        "studio.yaml",
        "gpu-worker.yaml",
    } <= files
    assert {
        ("worker", "--queues", "training,default,interactive"),
        ("worker", "--queues", "training,interactive", "--name", "gpu"),
    } <= set(COMMANDS)
    assert {line.words for line in all_command_lines() if line.file == "Makefile"} >= {
        ("sft-studio", "demo"),
        ("sft-studio", "demo", "--oneshot"),
        ("sft-studio", "serve"),
    }


def test_a_process_that_a_test_starts_hears_sigint_however_the_tests_were_started() -> None:
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "True"


def test_the_program_tells_its_version_which_is_that_of_its_package(tmp_path: Path) -> None:
    said = in_this_process("--version", data_dir=tmp_path)
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert (said.code, said.stdout, said.stderr) == (0, f"sft-studio {packaged}\n", "")
