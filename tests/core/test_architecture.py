"""The directions of imports. A failure names the line that goes the wrong way."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each domain may import those before it (and core).
ORDER = (
    "core",
    "accounts",
    "jobs",
    "conversations",
    "datasets",
    "base_models",
    "previews",
    "recipes",
    "runs",
    "evaluations",
    "playground",
)
# In their order as well: each may import the pure packages before it.
PURE = ("dialogue", "masking", "interchange", "scoring")
ALLOWED_IN_PURE: dict[str, set[str]] = {
    "dialogue": set(),
    "masking": {"jinja2", "markupsafe", "numpy", "safetensors", "tokenizers"},
    "interchange": {"pyarrow", "yaml"},
    "scoring": {"regex", "snowballstemmer"},
}
TORCH_SIDE = {"torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "worker"}
# Wiring: knows every domain by design. Commands know the processes, those know the client, never the other way.
WIRING = {"main", "routers", "tables", "client", "serving", "cli"}
OUTSIDE = ("client", "serving", "cli")
# The worker's two sides speak through JSON lines; neither imports the other.
WORKER_SIDES = ("parent", "work")


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "app":
                for alias in node.names:
                    yield node.lineno, f"app.{alias.name}"
            else:
                yield node.lineno, node.module


def _files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _domain(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "app" and len(parts) > 1 else ""


def test_the_app_imports_nothing_that_needs_torch() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _files("app")
        for line, name in _imports(path)
        if name.split(".")[0] in TORCH_SIDE
    ]
    assert wrong == []


def test_domains_import_only_what_lies_below_them() -> None:
    wrong = []
    for path in _files("app"):
        own = path.relative_to(ROOT / "app").parts[0].removesuffix(".py")
        if own in WIRING or own in PURE or own == "__init__":
            continue
        for line, name in _imports(path):
            other = _domain(name)
            if other in WIRING - {"tables"} or (other in ORDER and ORDER.index(other) > ORDER.index(own)):
                wrong.append(f"{path.relative_to(ROOT)}:{line} {own} imports {name}")
    assert wrong == []


def test_commands_processes_and_client_import_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for place, package in enumerate(OUTSIDE)
        for path in _files(f"app/{package}")
        for line, name in _imports(path)
        if _domain(name) in OUTSIDE[place + 1 :]
    ]
    assert wrong == []


def test_the_workers_parent_and_its_children_do_not_import_each_other() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for side, other in (WORKER_SIDES, WORKER_SIDES[::-1])
        for path in _files(f"worker/{side}")
        for line, name in _imports(path)
        if name.startswith(f"worker.{other}")
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_neither_database_nor_web(package: str) -> None:
    allowed = {*sys.stdlib_module_names, *ALLOWED_IN_PURE[package]}
    below = tuple(f"app.{name}" for name in PURE[: PURE.index(package) + 1])
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _files(f"app/{package}")
        for line, name in _imports(path)
        if not name.startswith(below) and name.split(".")[0] not in allowed
    ]
    assert wrong == []


def test_starting_the_web_application_loads_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, app.main; "
        "print(','.join(m for m in ('torch', 'transformers', 'peft', 'trl') if m in sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.strip() == ""


def test_the_workers_parent_process_loads_neither_torch_nor_transformers(tmp_path: Path) -> None:
    code = (
        "import sys, worker.parent.celery_app; "
        "print(','.join(m for m in ('torch', 'transformers', 'peft', 'trl') if m in sys.modules))"
    )
    environment = {"SFT_STUDIO_DATA": str(tmp_path), "PATH": "/usr/bin:/bin"}
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert (loaded.stdout.strip(), loaded.returncode) == ("", 0), loaded.stderr


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for folder in ("app", "worker")
        for path in _files(folder)
        if path.read_text(encoding="utf-8").strip()
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_functions_and_files_stay_small() -> None:
    long_files = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for folder in ("app", "worker")
        for path in _files(folder)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    ]
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for folder in ("app", "worker")
        for path in _files(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 60
    ]
    assert long_files + long_functions == []
