"""The directions of imports. A failure names the line that goes the wrong way."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.masking
from tests.support.sources import files, nodes_of, tree_of

ROOT = Path(__file__).parents[2]
# Each domain may import those before it (and core).
ORDER = (
    "core",
    "accounts",
    "jobs",
    "datasets",
    "conversations",
    "imports",
    "versions",
    "curation",
    "base_models",
    "mask_settings",
    "mask_checks",
    "previews",
    "recipes",
    "interop",
    "runs",
    "recipe_book",
    "evaluations",
    "gates",
    "checklists",
    "exports",
    "trackers",
    "queue",
    "notices",
    "playground",
    "erasure",
)
# Pages and their REST, nothing that another domain could need: only the wiring imports them.
EDGE_ONLY = ("previews",)
# In their order as well: each may import the pure packages before it.
PURE = ("dialogue", "masking", "interchange", "scoring", "diagnosis")
# Below everything, the pure packages included.
BELOW = ("app.sentences", "app.unlocked", "app.invalid", "app.files", "app.line_process")
ALLOWED_IN_PURE: dict[str, set[str]] = {
    "dialogue": set(),
    "masking": {"jinja2", "markupsafe", "numpy", "safetensors", "tokenizers"},
    "interchange": {"openpyxl", "pyarrow", "yaml"},
    "scoring": {"pydantic", "regex", "snowballstemmer"},
    "diagnosis": {"numpy"},
}
TORCH_SIDE = {"torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "worker"}
# Wiring: knows every domain by design. Commands know the processes, those know the client, never the other way.
WIRING = {"domains", "main", "routers", "tables", "client", "serving", "cli"}
OUTSIDE = ("client", "serving", "cli")
# The worker's two sides speak through JSON lines; neither imports the other.
WORKER_SIDES = ("parent", "work")


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "app":
                for alias in node.names:
                    yield node.lineno, f"app.{alias.name}"
            else:
                yield node.lineno, node.module


def _names_from(path: Path, package: str) -> Iterator[tuple[int, str]]:
    """What a file imports from a package; modules below it by their whole name."""
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            for alias in node.names:
                yield node.lineno, alias.name
    yield from ((line, name) for line, name in _imports(path) if name.startswith(f"{package}."))


def _domain(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "app" and len(parts) > 1 else ""


def test_the_app_imports_nothing_that_needs_torch() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files("app")
        for line, name in _imports(path)
        if name.split(".")[0] in TORCH_SIDE
    ]
    assert wrong == []


def test_domains_import_only_what_lies_below_them() -> None:
    wrong = []
    for path in files("app"):
        own = path.relative_to(ROOT / "app").parts[0].removesuffix(".py")
        if own in WIRING or own in PURE or own == "__init__":
            continue
        for line, name in _imports(path):
            other = _domain(name)
            above = other in ORDER and ORDER.index(other) > ORDER.index(own)
            if other in WIRING - {"tables"} or above or (other in EDGE_ONLY and other != own):
                wrong.append(f"{path.relative_to(ROOT)}:{line} {own} imports {name}")
    assert wrong == []


def test_commands_processes_and_client_import_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for place, package in enumerate(OUTSIDE)
        for path in files(f"app/{package}")
        for line, name in _imports(path)
        if _domain(name) in OUTSIDE[place + 1 :]
    ]
    assert wrong == []


def test_the_workers_parent_and_its_children_do_not_import_each_other() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for side, other in (WORKER_SIDES, WORKER_SIDES[::-1])
        for path in files(f"worker/{side}")
        for line, name in _imports(path)
        if name.startswith(f"worker.{other}")
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_neither_database_nor_web(package: str) -> None:
    allowed = {*sys.stdlib_module_names, *ALLOWED_IN_PURE[package]}
    below = (*BELOW, *(f"app.{name}" for name in PURE[: PURE.index(package) + 1]))
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files(f"app/{package}")
        for line, name in _imports(path)
        if not name.startswith(below) and name.split(".")[0] not in allowed
    ]
    assert wrong == []


def test_sentences_lie_below_everything_and_mark_every_message() -> None:
    for name in BELOW:
        imported = {name for _, name in _imports((ROOT / name.replace(".", "/")).with_suffix(".py"))}
        strange = {one for one in imported if one.split(".")[0] not in sys.stdlib_module_names}
        assert strange <= {"app.sentences"}, name
    marks = [
        str(path.relative_to(ROOT))
        for folder in ("app", "worker")
        for path in files(folder)
        for node in nodes_of(path)
        if (isinstance(node, ast.FunctionDef) and node.name == "N_")
        or (isinstance(node, ast.Name) and node.id == "N_" and isinstance(node.ctx, ast.Store))
    ]
    assert marks == ["app/sentences.py"]


def test_masking_is_used_through_its_door() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for folder in ("app", "worker")
        for path in files(folder)
        if not path.is_relative_to(ROOT / "app/masking")
        for line, name in _names_from(path, "app.masking")
        if name not in app.masking.__all__
    ]
    assert wrong == []


def test_the_list_of_tables_names_every_module_that_has_one() -> None:
    named = {name for _, name in _imports(ROOT / "app/tables.py")}
    having = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files("app")
        if "table=True" in path.read_text("utf-8") and path.name == "models.py"
    }
    assert having <= named


def test_starting_the_web_application_loads_neither_torch_nor_transformers_nor_celery() -> None:
    code = (
        "import sys, app.domains, app.main; "
        "print(','.join(m for m in ('torch', 'transformers', 'peft', 'trl', 'celery') if m in sys.modules))"
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
        for path in files(folder)
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(tree_of(path))
    ]
    assert silent == []


def test_functions_and_files_stay_small() -> None:
    long_files = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for folder in ("app", "worker", "tests")
        for path in files(folder)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    ]
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for folder in ("app", "worker")
        for path in files(folder)
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 60
    ]
    assert long_files + long_functions == []


# Where JSON of any kind becomes a dialogue, or is checked by its own rules: readers take what comes. (Between the
# worker's parent and its children, messages are lines of their own kind.)
READERS = {
    "app/dialogue",
    "app/interchange",
    "app/masking",
    "worker/work/evaluation",
    "worker/parent",
    "app/line_process.py",
}
DIALOGUE_NAMES = {"message", "messages", "conversation", "conversations", "dialogue", "tools", "frozen"}


def test_dialogues_travel_as_typed_dictionaries() -> None:
    """Outside of their readers no parameter or field that holds a dialogue is a dictionary of anything."""

    def is_untyped(annotation: ast.expr | None) -> bool:
        text = ast.unparse(annotation) if annotation else ""
        return "dict[str, Any]" in text or "Mapping[str, Any]" in text

    wrong = []
    for path in [*files("app"), *files("worker")]:
        place = str(path.relative_to(ROOT))
        if place.startswith(tuple(READERS)) or path.name in ("schemas.py", "dialogue_schemas.py"):
            continue
        for node in nodes_of(path):
            name = ""
            if isinstance(node, ast.arg):
                name = node.arg
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
            if name in DIALOGUE_NAMES and is_untyped(node.annotation):
                wrong.append(f"{place}:{node.lineno} {name}")
    assert wrong == []


def test_no_property_holds_up_other_instances_while_it_is_found() -> None:
    """functools' cached_property has one lock for all instances until Python 3.12."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("app", "worker")
        for path in files(folder)
        for line, name in _names_from(path, "functools")
        if name == "cached_property"
    ]
    assert wrong == []


# What each of these packages does is pinned module by module; a module without functions has nothing to pin.
TESTED_BY_NAME = ("masking", "dialogue", "jobs", "core")


@pytest.mark.parametrize("package", TESTED_BY_NAME)
def test_each_module_has_a_test_of_its_name(package: str) -> None:
    missing = [
        str(test.relative_to(ROOT))
        for path in files(f"app/{package}")
        if path.name != "__init__.py" and _defines_functions(path)
        if not (
            test := ROOT / "tests" / path.relative_to(ROOT / "app").with_name(f"test_{path.name}")
        ).exists()
    ]
    assert missing == []


def _defines_functions(path: Path) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes_of(path))
