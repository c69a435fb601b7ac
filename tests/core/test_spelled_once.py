"""What two modules would have to change together is written in one of them, and the other imports it."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
# Each module has its own of these by design.
OF_EACH_MODULE = {"router", "logger", "_log", "__all__"}
# So much of a function is no coincidence any more; as `ast` dumps it.
SAME_BODY = 400
# So many fields of one name and type are no coincidence either.
SAME_FIELDS = 6
# Pairs that are right to have the same fields, each with the reason why neither may follow the other.
SPELLED_TWICE: Final[dict[tuple[str, str], str]] = {
    (
        "app.conversations.dialogue_schemas.DialogueOut",
        "app.dialogue.conversation.Labels",
    ): "REST shows every label, a dialogue has those that are known",
    (
        "app.diagnosis.record.Settings",
        "app.recipes.config.TrainingConfig",
    ): "the pure judge lies below the config and reads its own selection of it",
    (
        "app.imports.schemas.ImportOut",
        "app.interchange.report.ImportReport",
    ): "what REST promises does not follow how a file is counted",
    (
        "app.mask_checks.report.MaskReport",
        "app.masking.checking.report.VersionReport",
    ): "a stored document of a version of its own, and the pure count that it is made of",
    (
        "app.mask_checks.schemas.MaskCheckOut",
        "app.runs.schemas.RunOut",
    ): "both refer to a version, a model and a job, and are no one thing",
    (
        "app.notices.schemas.WebhookIn",
        "app.notices.webhooks.WebhookRequest",
    ): "a page hands on what was typed, which the service judges; REST promises limits",
    (
        "app.recipe_book.schemas.RecipeOut",
        "app.recipes.recipes.Recipe",
    ): "what REST shows of one that cannot be read any more too",
    (
        "app.runs.manifest.Manifest",
        "app.runs.result.RunResult",
    ): "a document that goes out, with a version of its own, and the one that is stored",
    (
        "app.runs.schemas.RunOut",
        "app.runs.service.RunRequest",
    ): "what is stored of a run, and what was asked for",
}


@cache
def _modules() -> list[tuple[str, ast.Module]]:
    return [
        (str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8")))
        for folder in ("app", "worker")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


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


def _plain(annotation: ast.expr) -> str:
    """A type without its limits, and without what stands for nothing."""
    match annotation:
        case ast.Subscript(ast.Name("Annotated"), ast.Tuple([first, *_])):
            return _plain(first)
        case ast.Subscript(ast.Name("NotRequired"), inner):
            return _plain(inner)
        case ast.BinOp(left, ast.BitOr(), right):
            return " | ".join(sorted({_plain(left), _plain(right)} - {"None"}))
    return ast.unparse(annotation)


def _classes() -> Iterator[tuple[str, bool, set[tuple[str, str]]]]:
    """Each class with fields of its own, whether it is a table, and those fields."""
    for module, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                own = {
                    (part.target.id, _plain(part.annotation))
                    for part in node.body
                    if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
                }
                is_table = any(keyword.arg == "table" for keyword in node.keywords)
                yield f"{module.removesuffix('.py').replace('/', '.')}.{node.name}", is_table, own


def test_no_two_classes_spell_the_same_fields() -> None:
    """One inherits from the other, or embeds it. What REST shows of a table is spelled beside it by design: neither may
    follow the other."""
    found = {
        (one, other)
        for (one, table, own), (other, other_table, others) in combinations(sorted(_classes()), 2)
        if len(own & others) >= SAME_FIELDS and not (table or other_table)
    }
    assert sorted(found - SPELLED_TWICE.keys()) == []
    assert sorted(SPELLED_TWICE.keys() - found) == [], "these have little in common any more"
