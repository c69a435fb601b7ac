"""Standard streams that are closed, full or given up: no traceback, and no exit code that means something else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, environment
from tests.support.tokenizers import smollm2_folder

__all__ = ["smollm2_folder"]
LINE = json.dumps(
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join([LINE] * 200))
    return path


def shell(tmp_path: Path, model: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """`masks` in a shell: $masks is the command, $model the model."""
    script = f'masks="{sys.executable} -m app.cli masks"; model="{model}"; {command}'
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        env=environment(tmp_path / "data"),
        cwd=ROOT,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("how", ["preview --json", "preview"])
def test_a_reader_that_has_enough_ends_it_quietly(
    tmp_path: Path, smollm2_folder: Path, lines: Path, how: str
) -> None:
    pipe = f"$masks {how} --model $model --input {lines} | head -1; exit ${{PIPESTATUS[0]}}"
    done = shell(tmp_path, smollm2_folder, pipe)
    assert (done.returncode, done.stderr) == (141, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said_and_is_not_the_code_for_red(
    tmp_path: Path, smollm2_folder: Path, lines: Path
) -> None:
    done = shell(tmp_path, smollm2_folder, f"$masks verify --model $model --input {lines} --json > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "sft-studio: Standard output cannot be written: No space left on device.\n"


def test_closed_streams_do_not_change_the_verdict(tmp_path: Path, smollm2_folder: Path, lines: Path) -> None:
    assert (
        shell(tmp_path, smollm2_folder, f"$masks verify --model $model --input {lines} >&-").returncode == 0
    )
    done = shell(tmp_path, smollm2_folder, "$masks verify --model $model --input - <&-")
    assert (done.returncode, done.stderr) == (2, "sft-studio: standard input holds no conversation.\n")


@pytest.mark.parametrize("command", ["--help", "masks verify --model {model} --input {lines}"])
def test_help_and_masks_load_neither_torch_nor_the_server(
    tmp_path: Path, smollm2_folder: Path, lines: Path, command: str
) -> None:
    arguments = [word.format(model=smollm2_folder, lines=lines) for word in command.split()]
    heavy = {"torch", "transformers", "sqlalchemy", "sqlmodel", "fastapi", "starlette", "celery", "httpx"}
    code = (
        f"import sys; from app.cli import run; assert run({arguments!r}) == 0; "
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(tmp_path / "data"),
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
