"""What `make install` says when the machine lacks something. Nothing is installed here."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh copy of what the installation reads."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "install", tmp_path / ".ci" / "install")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def _install(project: Path, programs: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make install` with some programs replaced by scripts."""
    folder = project / "bin"
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["make", "install", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
    )


def test_an_old_python_is_refused_with_the_way_to_name_another(project: Path) -> None:
    done = _install(project, {"old-python": "exit 1"}, "PYTHON=old-python")
    assert done.returncode != 0
    assert "Python 3.11 or newer" in done.stderr
    assert not (project / ".venv").exists()


def test_a_python_without_venv_is_told_how_to_get_it(project: Path) -> None:
    python = 'case "$*" in *ensurepip*) exit 1;; esac'
    done = _install(project, {"bare-python": python}, "PYTHON=bare-python")
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr


def test_a_full_disk_is_noticed_before_anything_is_written(project: Path) -> None:
    done = _install(
        project, {"df": "echo Filesystem; echo disk 9 9 2500000 9 /", "some-python": ""}, "PYTHON=some-python"
    )
    assert done.returncode != 0
    assert "only 2 GB are free" in done.stderr
    assert not (project / ".venv").exists()


def test_no_network_is_told_apart_from_other_failures(project: Path) -> None:
    # A python whose venv holds a pip that fails as pip does without a network.
    venv = project / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text(
        "#!/bin/sh\necho 'WARNING: NewConnectionError: Network is unreachable'; exit 1\n"
    )
    (venv / "python").chmod(0o755)
    done = _install(project, {"some-python": ""}, "PYTHON=some-python")
    assert done.returncode != 0
    assert "cannot be reached" in done.stderr
    (venv / "python").write_text("#!/bin/sh\necho 'ERROR: something else'; exit 1\n")
    shutil.rmtree(project / "bin")
    done = _install(project, {"some-python": ""}, "PYTHON=some-python")
    assert "something else" in done.stderr
    assert "install.log" in done.stderr
    assert not (project / ".venv" / ".installed").exists()
