"""What the documents say of the code is true: maps name every module, recipes name files and names that exist."""

import ast
import re
from pathlib import Path

import pytest

from tests.core.test_architecture import ORDER, OUTSIDE, PURE
from tests.support.sources import tree_of

ROOT = Path(__file__).parents[2]
# A newcomer sees at a glance what so many modules are for; a package with more has a map.
WITHOUT_A_MAP = 4
MOST_FILES = 4
# What a job's child is told and hands back is a file of its own, because the child loads no database.
MORE_FILES = {"A kind of job": 5}
RECIPE = re.compile(r"^### (?P<title>.+?)\n(?P<text>.*?)(?=^##)", re.M | re.S)
STEP = re.compile(r"^\d+\. `(?P<path>[\w/.*<>-]+)`(?P<rest>.*?)(?=^\d+\. |\Z)", re.M | re.S)
NAMED = re.compile(r"`(\w+)`")
# What is different for each thing that is added.
PLACEHOLDER = re.compile(r"<\w+>")


def _packages() -> list[Path]:
    return sorted({path.parent for folder in ("app", "worker") for path in (ROOT / folder).rglob("*.py")})


def _modules(package: Path) -> list[str]:
    return sorted(path.stem for path in package.glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize(
    "package",
    [one for one in _packages() if len(_modules(one)) > WITHOUT_A_MAP],
    ids=lambda package: str(package.relative_to(ROOT)),
)
def test_a_package_with_many_modules_has_a_map_that_names_each(package: Path) -> None:
    assert [name for name in _modules(package) if name not in _named(package)] == []


@pytest.mark.parametrize(
    "package",
    [one for one in _packages() if (one / "__init__.py").is_file()],
    ids=lambda package: str(package.relative_to(ROOT)),
)
def test_a_map_names_nothing_that_is_not_there(package: Path) -> None:
    there = {path.stem for path in package.iterdir()}
    assert [name for name in _named(package) if name not in there] == []


def _named(package: Path) -> list[str]:
    text = ast.get_docstring(tree_of(package / "__init__.py")) or ""
    return re.findall(r"`(\w+)/?`", text)


def _recipes() -> list[tuple[str, str]]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    adding = text[text.index("## Adding things") :]
    return [(match["title"], match["text"]) for match in RECIPE.finditer(adding)]


def test_there_is_a_recipe_for_everything_that_people_add() -> None:
    titles = {title for title, _text in _recipes()}
    assert titles >= {
        "A message field",
        "A mask setting",
        "A hyperparameter",
        "An event",
        "A kind of job",
        "A failure",
        "A page",
        "A check of answers",
        "An import format",
    }


@pytest.mark.parametrize(("title", "text"), _recipes(), ids=[title for title, _text in _recipes()])
def test_a_recipe_names_files_and_names_that_exist(title: str, text: str) -> None:
    steps = list(STEP.finditer(text))
    assert steps, title
    for step in steps:
        if PLACEHOLDER.search(step["path"]):
            folder = (ROOT / step["path"]).parent
            while PLACEHOLDER.search(str(folder)):
                folder = folder.parent
            assert folder.is_dir(), step["path"]
            continue
        source = (ROOT / step["path"]).read_text(encoding="utf-8")
        # Before the first full stop: what stands in the file already. After it: the example.
        there = NAMED.findall(step["rest"].split(". ")[0])
        assert [name for name in there if name not in source] == [], step["path"]


@pytest.mark.parametrize(("title", "text"), _recipes(), ids=[title for title, _text in _recipes()])
def test_adding_a_thing_touches_few_files(title: str, text: str) -> None:
    paths = [step["path"] for step in STEP.finditer(text)]
    assert len(paths) <= MORE_FILES.get(title, MOST_FILES), title


def _architecture() -> tuple[str, str]:
    """The tree of the house, and everything that is said outside of blocks."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```.*?```", text, re.S)
    return blocks[0], re.sub(r"```.*?```", "", text, flags=re.S)


def test_the_architecture_names_files_and_names_that_exist() -> None:
    files = [
        path
        for folder in ("app", "worker", "tests", "migrations", "static", "templates")
        for path in (ROOT / folder).rglob("*")
        if "__pycache__" not in path.parts
    ]
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".html", ".po")
    )
    words = set(re.findall(r"\w+", source))
    parts = [path.relative_to(ROOT).parts for path in files]
    ends = {"/".join(path[start:]) for path in parts for start in range(len(path))}
    _tree, said = _architecture()
    names = [name for quoted in re.findall(r"`([^`]+)`", said) for name in re.findall(r"[\w./]+", quoted)]
    paths = [name for name in names if "/" in name or name.endswith(".py")]
    unknown = [name for name in paths if name.rstrip("/") not in ends]
    unknown += [name for name in set(names) - set(paths) if not words.issuperset(re.findall(r"\w+", name))]
    assert unknown == []


def test_the_architecture_shows_every_package_and_the_order_of_imports() -> None:
    tree, said = _architecture()
    packages = {path.parent.relative_to(ROOT).parts[1] for path in (ROOT / "app").glob("*/__init__.py")}
    assert [name for name in sorted(packages) if f"{name}/" not in tree] == []
    chains = [tuple(re.findall(r"\w+", one)) for one in re.findall(r"`((?:\w+\s*←\s*){2,}\w+)`", said)]
    assert chains == [ORDER, OUTSIDE, PURE]
