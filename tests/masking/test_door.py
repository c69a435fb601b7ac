"""`app.masking` is the only way in, and costs nothing until a name is used."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import app.masking

ROOT = Path(__file__).parents[2]


def test_every_name_is_listed_imported_for_types_and_found_in_its_module() -> None:
    tree = ast.parse((ROOT / "app/masking/__init__.py").read_text(encoding="utf-8"))
    for_types = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("app.masking.")
        for alias in node.names
    }
    assert for_types == app.masking._MODULE_OF
    assert sorted(app.masking.__all__) == sorted(for_types)
    for name, module in for_types.items():
        assert getattr(app.masking, name) is getattr(importlib.import_module(module), name)


def test_no_name_hides_a_module_of_the_package() -> None:
    """Importing a module sets it as an attribute of the package, which would win."""
    below = {path.stem for path in (ROOT / "app/masking").iterdir()}
    assert below.isdisjoint(app.masking.__all__)


def test_an_unknown_name_is_an_error_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = app.masking.nothing  # type: ignore[attr-defined]


def test_importing_the_package_loads_none_of_its_libraries() -> None:
    code = "import sys, json, app.masking; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert {"jinja2", "numpy", "tokenizers", "safetensors"}.isdisjoint(json.loads(done.stdout))


def test_masking_loads_neither_torch_nor_transformers_nor_the_web() -> None:
    probe = (
        "import sys, app.masking, app.cli.masks.command; "
        "print([name for name in ('torch', 'transformers', 'fastapi', 'sqlalchemy', 'celery') if name"
        " in sys.modules])"
    )
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
