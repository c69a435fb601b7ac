"""Nothing that the event loop runs waits: not for the database, a disk, a child or a clock."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.sources import files, nodes_of

ROOT = Path(__file__).parents[2]
# What waits for the database, a disk, a child or a clock, or works for long: nothing that the event loop may do.
WAITS = {
    "Session",
    "reading",
    "transaction",
    "session_dependency",
    "connect",
    "exec",
    "execute",
    "commit",
    "dispose",
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "sleep",
    "Popen",
    "verify",
    "hash",
}
# The catalogues are read before the first request.
READY = {("app.core.i18n", "translations")}
# They take the loop's turns by design: awaited, or documented as not waiting.
ASYNC_MODULES = {"asyncio", "anyio"}


class _Functions:
    """Every function of the app by module and name, and what names mean in a module."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self.imported: dict[str, dict[str, tuple[str, str]]] = {}
        for path in files("app"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            names = self.imported.setdefault(module, {})
            for node in nodes_of(path):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    self.found[module, node.name] = node
                elif isinstance(node, ast.ImportFrom) and node.module:
                    for alias in node.names:
                        names[alias.asname or alias.name] = (node.module, alias.name)

    def called(self, module: str, call: ast.Call) -> tuple[str, str] | None:
        """The app's function that a call means, as far as names tell."""
        match call.func:
            case ast.Name(name):
                target = self.imported[module].get(name, (module, name))
            case ast.Attribute(ast.Name("self"), name):
                target = (module, name)
            case ast.Attribute(ast.Name(owner), name) if owner in self.imported[module]:
                target = (".".join(self.imported[module][owner]), name)
            case _:
                return None
        return target if target in self.found else None


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the function runs: not the bodies of functions inside it, which may be handed to a thread."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own_nodes(child)


def _waits(functions: _Functions, module: str, name: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Calls that wait, in a function and in whatever plain functions it calls."""
    seen.add((module, name))
    function = functions.found[module, name]
    nodes = [inner for part in function.body for inner in (part, *_own_nodes(part))]
    awaited = {node.value for node in nodes if isinstance(node, ast.Await)}
    for call in (node for node in nodes if isinstance(node, ast.Call) and node not in awaited):
        spelled = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        owner = getattr(call.func.value, "id", "") if isinstance(call.func, ast.Attribute) else ""
        if spelled in WAITS and owner not in ASYNC_MODULES:
            yield f"{module}:{call.lineno} {name} calls {spelled}"
        target = functions.called(module, call)
        if target and target not in seen | READY and isinstance(functions.found[target], ast.FunctionDef):
            yield from _waits(functions, *target, seen)


def test_no_coroutine_waits_for_the_database_or_a_file() -> None:
    functions = _Functions()
    wrong = [
        wait
        for (module, name), function in functions.found.items()
        if isinstance(function, ast.AsyncFunctionDef)
        for wait in _waits(functions, module, name, set())
    ]
    assert wrong == []


def test_no_coroutine_is_given_a_session() -> None:
    functions = _Functions()
    wrong = [
        f"{module}:{function.lineno} {name}"
        for (module, name), function in functions.found.items()
        if isinstance(function, ast.AsyncFunctionDef)
        for argument in (*function.args.args, *function.args.kwonlyargs)
        if argument.annotation
        and {"Db", "Session"} & set(re.findall(r"\w+", ast.unparse(argument.annotation)))
    ]
    assert wrong == []


def test_the_rule_for_coroutines_finds_the_database_behind_a_plain_function() -> None:
    functions = _Functions()
    functions.found["app.accounts.access", "asks"] = ast.parse(
        "async def asks(request):\n    find_actor(request)"
    ).body[0]  # type: ignore[assignment]
    assert any("calls reading" in wait for wait in _waits(functions, "app.accounts.access", "asks", set()))
