"""Every failure that the program can raise, found in its source: none can be forgotten by a list.

A failure is a call of a subclass of SentenceError, or of `Failure.of`. Its template is a marked literal, a constant
of its module, or comes from another failure that is found by itself (`JobFailed.of(error)`, `error.sentence`). What
is wrong with files and dialogues is listed in catalogues, each entry of which counts, and raised by an entry's name. So do the words
for a process that was killed, which `worker/exits.py` chooses from.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.sources import tree_of, trees

ROOT = Path(__file__).parents[2]
BASE = "SentenceError"
# Signatures in which a code, a source or a field comes before the template.
_BEFORE_TEMPLATE = {"JobFailed": 1, "Failure.of": 1, "CheckRefused": 1, "Trouble": 1, "Refusal": 1}
# What an entry of a catalogue is; classes that are made of one raise nothing that is not an entry.
ENTRIES = {"Trouble", "Refusal"}
# The words for a process that was killed, in their order, and the code that each comes with; what the log alone says has none.
KILLED = {
    "memory": "KILLED",
    "perhaps_memory": "KILLED",
    "outside": "DIED",
    "again": None,
    "crashed": "DIED",
    "refused": "OUT_OF_MEMORY",
}
# A method that raises with the template it is given: its calls count, its own raise does not.
HANDS_ON = "refusal"


@dataclass(frozen=True)
class Found:
    """A failure in the source; `code` is the FailureCode's name where the call says it."""

    where: str
    template: str
    code: str | None


def failures(*folders: str) -> tuple[list[Found], list[str]]:
    """What can be raised below these folders; and the places whose template cannot be told."""
    names = _kinds() | ENTRIES
    found: list[Found] = []
    unclear: list[str] = []
    for path, tree in trees(*folders):
        constants, handed = _constants(tree), _handed_on(tree)
        caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
        for node in ast.walk(tree):
            found += _of_killed(node, path, constants)
            if not isinstance(node, ast.Call) or (name := _called(node)) not in names | {
                "Failure.of",
                HANDS_ON,
            }:
                continue
            place = _BEFORE_TEMPLATE.get(name, 0)
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            if len(node.args) <= place or any(isinstance(argument, ast.Starred) for argument in node.args):
                unclear.append(where)
                continue
            templates = list(_templates(node.args[place], constants))
            code = node.args[0].attr if place and isinstance(node.args[0], ast.Attribute) else None
            found += [Found(where, template, code) for template in templates]
            given = node.args[place]
            passed_on = (
                _of_another(given, constants)
                or (isinstance(given, ast.Name) and given.id in caught)
                or (isinstance(given, ast.Name | ast.Attribute) and _is_of_killed(given, constants))
            )
            if not templates and node not in handed and not passed_on:
                unclear.append(where)
    return found, unclear


def _of_killed(node: ast.AST, path: Path, constants: dict[str, list[ast.expr]]) -> Iterator[Found]:
    """What words for a killed process are made of, or differ in from others."""
    if not isinstance(node, ast.Call) or _called(node) not in ("Words", "replace"):
        return
    said = {word.arg: word.value for word in node.keywords if word.arg in KILLED}
    if _called(node) == "Words":
        said |= dict(zip(KILLED, node.args, strict=True))
    for word, given in said.items():
        if code := KILLED[word or ""]:
            for template in _templates(given, constants):
                yield Found(f"{path.relative_to(ROOT)}:{node.lineno}", template, code)


def _is_of_killed(node: ast.expr, constants: dict[str, list[ast.expr]]) -> bool:
    """Whether it is one of the words that somebody made."""
    if isinstance(node, ast.Name):
        values = constants.get(node.id, ())
        return any(isinstance(value, ast.IfExp) and _is_of_killed(value.body, {}) for value in values)
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) == "words" and node.attr in KILLED


def _kinds() -> set[str]:
    """The classes below the base, by name, without those that are made of an entry of a catalogue."""
    bases: dict[str, set[str]] = {}
    for _, tree in trees("app", "worker"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                above = {base.id for base in node.bases if isinstance(base, ast.Name)}
                bases[node.name] = set() if _is_made_of_an_entry(node) else above
    names = {BASE}
    while more := {name for name, above in bases.items() if above & names} - names:
        names |= more
    return names


def _is_made_of_an_entry(node: ast.ClassDef) -> bool:
    made = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    hints = [argument.annotation for one in made for argument in one.args.args]
    return any(isinstance(hint, ast.Name) and hint.id in ENTRIES for hint in hints)


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Name):
        return node.func.id
    if isinstance(node.func, ast.Attribute) and node.func.attr == HANDS_ON:
        return HANDS_ON
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        return f"{node.func.value.id}.{node.func.attr}"
    return ""


def _constants(tree: ast.Module, follow: bool = True) -> dict[str, list[ast.expr]]:
    """What names stand for: constants of the module, of the functions in it (arguments that are one unless said otherwise, too), and
    of the modules they come from."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if follow and isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if there := _module(f"{node.module}.{alias.name}"):
                    inside = _constants(there, follow=False)
                    found |= {f"{alias.asname or alias.name}.{name}": given for name, given in inside.items()}
                if alias.name.isupper() and (there := _module(node.module)):
                    found[alias.asname or alias.name] = _constants(there, follow=False).get(alias.name, [])
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found.setdefault(node.target.id, []).append(node.value)
        elif isinstance(node, ast.FunctionDef):
            given = zip(reversed(node.args.args), reversed(node.args.defaults), strict=False)
            for argument, default in given:
                if isinstance(default, ast.Name) and default.id.isupper():
                    found.setdefault(argument.arg, []).append(default)
    return found


@cache
def _module(name: str | None) -> ast.Module | None:
    path = (ROOT / (name or "").replace(".", "/")).with_suffix(".py")
    return tree_of(path) if path.is_file() else None


def _templates(node: ast.expr, constants: dict[str, list[ast.expr]], depth: int = 3) -> Iterator[str]:
    """Every template that the expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Call) and _called(node) in {"N_", "Sentence", "Sentence.of"} and node.args:
        yield from _templates(node.args[0], constants, depth)
    elif isinstance(node, ast.IfExp):
        yield from _templates(node.body, constants, depth)
        yield from _templates(node.orelse, constants, depth)
    elif isinstance(node, ast.Name | ast.Attribute) and depth:
        for value in constants.get(ast.unparse(node), ()):
            yield from _templates(value, constants, depth - 1)


def _of_another(node: ast.expr, constants: dict[str, list[ast.expr]]) -> bool:
    """Whether it is the sentence of a failure met before."""
    if isinstance(node, ast.Name):
        return any(_of_another(value, {}) for value in constants.get(node.id, ()))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "with_values":
            return _of_another(node.func.value, constants)
        return node.func.attr == "relabelled" or _called(node) == "Sentence.from_json"
    if isinstance(node, ast.Attribute) and node.attr == "template":
        return _of_another(node.value, constants)
    return isinstance(node, ast.Attribute) and node.attr == "sentence"


def _handed_on(tree: ast.Module) -> set[ast.AST]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {inside for node in functions if node.name == HANDS_ON for inside in ast.walk(node)}
