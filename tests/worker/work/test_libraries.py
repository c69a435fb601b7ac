"""Libraries that come with others are imported once something is asked of them, and then as ever."""

import gc
import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from worker.work.libraries import import_late, nothing_collected

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package that notes in a file each time that its code runs."""
    folder = tmp_path / "slowly"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from pathlib import Path\n"
        "with (Path(__file__).parent / 'ran').open('a') as file: file.write('.')\n"
        "early = hasattr(__import__(__name__), 'late')\n"
        "from slowly import own\n"
        "late = own.word.upper()\n"
    )
    (folder / "own.py").write_text("word = 'word'\n")
    (folder / "deep" / "__init__.py").write_text("from slowly import late\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "slowly"]:
        del sys.modules[name]


def ran(library: Path) -> int:
    noted = library / "ran"
    return len(noted.read_text()) if noted.exists() else 0


def test_a_library_runs_once_when_something_is_first_asked_of_it(library: Path) -> None:
    import_late("slowly")
    module = importlib.import_module("slowly")
    found = importlib.util.find_spec("slowly")
    assert (found is not None, module.__name__, module.__file__) == (True, "slowly", f"{library}/__init__.py")
    assert ran(library) == 0
    assert (module.late, module.early, module.own.word) == ("WORD", False, "word")
    with pytest.raises(AttributeError, match="has no attribute 'never'"):
        module.never  # noqa: B018
    import_late("slowly")
    assert importlib.import_module("slowly") is module
    assert ran(library) == 1


@pytest.mark.parametrize(
    "asked", ["import slowly.deep; found = slowly.deep", "from slowly import deep as found"]
)
def test_a_part_of_a_library_brings_the_whole(library: Path, asked: str) -> None:
    import_late("slowly")
    names: dict[str, object] = {}
    exec(asked, names)
    assert vars(names["found"])["late"] == "WORD"
    assert ran(library) == 1


def test_a_library_that_cannot_be_imported_says_so_each_time_that_it_is_asked(library: Path) -> None:
    (library / "own.py").write_text("import nothing_of_this_name\n")
    import_late("slowly")
    module = importlib.import_module("slowly")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
            module.late  # noqa: B018


def test_a_library_that_is_not_installed_stays_so() -> None:
    import_late("nothing_of_this_name")
    assert "nothing_of_this_name" not in sys.modules


@pytest.mark.parametrize("before", [True, False])
def test_garbage_is_collected_again_when_the_imports_are_over_or_have_failed(before: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if before else gc.disable)()
        with nothing_collected():
            assert not gc.isenabled()
        assert gc.isenabled() is before
        with pytest.raises(ModuleNotFoundError), nothing_collected():
            importlib.import_module("nothing_of_this_name")
        assert gc.isenabled() is before
    finally:
        (gc.enable if was else gc.disable)()


def answer_of(python: str) -> Any:
    """What a new process prints last, as JSON."""
    told = subprocess.run(
        [sys.executable, "-c", python], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(told.stdout.splitlines()[-1])


MODELS = """
import builtins, hashlib, json, sys, transformers
opened, real = [], builtins.open
def noting(path, *args, **kwargs):
    opened.append(str(path))
    return real(path, *args, **kwargs)
builtins.open = noting
from transformers import models, LlamaConfig
names = sorted((name, str(where)) for name, where in models._class_to_module.items())
print(json.dumps([
    len([path for path in opened if "/transformers/models/" in path and path.endswith(".py")]),
    len(names), hashlib.sha256(repr(names).encode()).hexdigest(), LlamaConfig().model_type]))
"""


def test_transformers_reads_its_models_once_and_knows_the_same_names() -> None:
    read, *ours = answer_of("import worker.work\n" + MODELS)
    plainly_read, *plain = answer_of(MODELS)
    assert ours == plain
    assert ours[0] > 3000
    # What a plain import reads again here; a model that is imported reads its own folder.
    assert plainly_read > 1500
    assert read < 20


def test_a_run_begins_without_what_it_does_not_use_and_bitsandbytes_is_whole_when_it_is_used() -> None:
    look = (
        "import json, sys; from worker.work import train; begun = list(sys.modules); import os; before = dict(os.environ)\n"
        "import bitsandbytes; there = hasattr(bitsandbytes.nn, 'Linear4bit'), before == dict(os.environ)\n"
        "print(json.dumps([there, begun, list(sys.modules)]))"
    )
    there, begun, later = answer_of(look)
    assert there == [True, True]
    assert "peft" in begun
    assert {"bitsandbytes.nn", "pandas", "datasets.arrow_dataset"}.isdisjoint(begun)
    # A child knows no database, and another trainer's files only when that one trains.
    assert {"sqlalchemy", "sqlmodel", "fastapi", "pyarrow", "worker.work.backends.run"}.isdisjoint(begun)
    assert {"torch._inductor.codecache", "pandas"}.isdisjoint(later)
