"""What two modules would have to change together is written in one of them, and the other imports it."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Each module has its own of these by design.
OF_EACH_MODULE = {"router", "logger", "_log", "__all__"}
# So much of a function is no coincidence any more; as `ast` dumps it.
SAME_BODY = 400


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("app", "worker"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(
                ast.Name(name), value=ast.expr() as value
            ):
                yield name, value
            case ast.Assign([ast.Tuple(names)], ast.Tuple(values)):
                for target, one in zip(names, values, strict=True):
                    yield ast.unparse(target), one


def test_no_constant_is_given_the_same_value_in_two_modules() -> None:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for module, tree in _modules():
        for name, value in _constants(tree):
            is_type = isinstance(value, ast.Subscript) or ast.unparse(value).startswith("TypeVar(")
            if name not in OF_EACH_MODULE and not is_type:
                found[name.lstrip("_"), ast.dump(value)].add(module)
    assert {name: sorted(modules) for (name, _), modules in found.items() if len(modules) > 1} == {}


def test_no_function_is_written_in_two_modules() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for module, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                dumped = "".join(ast.dump(statement) for statement in body)
                if len(dumped) > SAME_BODY:
                    found[dumped].add(f"{module} {node.name}")
    twice = [sorted(places) for places in found.values() if len({one.split()[0] for one in places}) > 1]
    assert twice == []


def test_one_place_knows_where_the_code_lies() -> None:
    """A path that climbs out of its own package breaks when a module moves, or the program is installed."""
    climbing = [
        f"{module}:{node.lineno}"
        for module, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and re.search(r"__file__.*(\.parents|\.parent\.parent)$", ast.unparse(node))
    ]
    assert climbing == []
