"""What a page reads, and where that comes from: `python -m tests.support.template_inputs runs/page.html`.

A template's inputs are the names that it, and what it includes, uses and does not make itself; every template has those of
`request_context` besides. They are looked for as keys and keywords in the modules that render it, in those beside them, in those
that they import, and in what a module beside them imports that makes a context for several.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from jinja2 import meta, nodes

import app.main  # noqa: F401 - adds what pages of domains may use to the templates
from app.core.templating import templates
from tests.support.sources import files, tree_of

ROOT = Path(__file__).parents[2]
# What `request_context` gives to every template.
EVERYWHERE = frozenset({"request", "current_user", "may", "csrf_token", "locale", "theme", "nav"})


def inputs_of(name: str) -> set[str]:
    """The names that a template wants to be given."""
    used, made = _names(name)
    return used - made - EVERYWHERE - set(templates.globals)


@cache
def needed_by(name: str) -> frozenset[str]:
    """Of these, the ones that no part of it asks for with `is defined`."""
    return frozenset(inputs_of(name)) - _asked_for(name)


@cache
def _asked_for(name: str) -> frozenset[str]:
    asked = {
        test.node.name
        for test in _tree_of(name).find_all(nodes.Test)
        if test.name == "defined" and isinstance(test.node, nodes.Name)
    }
    return frozenset(asked).union(*(_asked_for(part) for part in _parts(name)))


@cache
def _names(name: str) -> tuple[set[str], set[str]]:
    """Used and made, by the template and all that it extends and includes."""
    tree = _tree_of(name)
    used, made = meta.find_undeclared_variables(tree), set(_made(tree))
    for part in _parts(name):
        more_used, more_made = _names(part)
        used, made = used | more_used, made | more_made
    return used, made


@cache
def _tree_of(name: str) -> nodes.Template:
    assert templates.loader is not None
    return templates.parse(templates.loader.get_source(templates, name)[0])


@cache
def _parts(name: str) -> tuple[str, ...]:
    """What it extends and includes."""
    parts = _tree_of(name).find_all((nodes.Include, nodes.Extends))
    return tuple(part.template.value for part in parts if isinstance(part.template, nodes.Const))


def _made(tree: nodes.Template) -> Iterator[str]:
    for found in tree.find_all(nodes.Name):
        if found.ctx in ("store", "param"):
            yield found.name
    for macro in tree.find_all(nodes.Macro):
        yield macro.name
    for one in tree.find_all(nodes.Import):
        yield one.target
    for several in tree.find_all(nodes.FromImport):
        yield from (name if isinstance(name, str) else name[1] for name in several.names)


def pages() -> dict[str, list[Path]]:
    """Every template that a module of app names, with those modules."""
    found: dict[str, list[Path]] = {}
    for path in files("app"):
        for name in {value for value in _texts(path) if value.endswith(".html") and "/" in value}:
            found.setdefault(name, []).append(path)
    return dict(sorted(found.items()))


@cache
def given_by(path: Path) -> dict[str, int]:
    """Keys, keywords and fields of a module, with the line of the first."""
    found: dict[str, int] = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found.setdefault(key.value, key.lineno)
        elif isinstance(node, ast.keyword) and node.arg:
            found.setdefault(node.arg, node.value.lineno)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.setdefault(node.target.id, node.lineno)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found.update((name, node.lineno) for name in _text(node.slice) if name not in found)
    for name, line in _constants(path):
        found.setdefault(name, line)
    return found


def _constants(path: Path) -> Iterator[tuple[str, int]]:
    """Names that a loop over pairs gives, as in `for name, other in (("before_href", …), …)`."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Tuple) and node.elts:
            yield from ((name, node.lineno) for name in _text(node.elts[0]))


def sources(page: str, rendered_by: list[Path]) -> dict[str, list[str]]:
    """For each input of the page the places, `file:line`, that give it."""
    beside = [other for path in rendered_by for other in sorted(path.parent.glob("*.py"))]
    imported = [other for path in rendered_by for other in _imported(path)]
    mates = [other for other in imported if other.parent in {path.parent for path in rendered_by}]
    modules = [*rendered_by, *beside, *imported, *(other for path in mates for other in _imported(path))]
    given = {path: given_by(path) for path in dict.fromkeys(modules)}
    return {
        name: [f"{path.relative_to(ROOT)}:{lines[name]}" for path, lines in given.items() if name in lines]
        for name in sorted(inputs_of(page))
    }


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("app."):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                file = ROOT / f"{name.replace('.', '/')}.py"
                if file.is_file() and not file.is_relative_to(ROOT / "app/core"):
                    yield file


def main(page: str) -> None:
    """Print it."""
    for name, places in sources(page, pages()[page]).items():
        sys.stdout.write(f"{name:<24} {', '.join(places)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
