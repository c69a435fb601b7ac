"""What two modules would have to change together is written in one of them, and the other imports it."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Final

from tests.support.sources import trees

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
        "app.conversations.filters.ConversationFilter",
        "app.conversations.schemas.ConversationOut",
    ): "what a list is narrowed by, where an empty text is no condition, and what it shows",
    (
        "app.diagnosis.record.Settings",
        "app.recipes.config.TrainingConfig",
    ): "the pure judge lies below the config and reads its own selection of it",
    (
        "app.jobs.devices.WorkerDevice",
        "app.runs.device.Device",
    ): "what a worker stores of a device for all runs, and what one process of a run has of it now",
    (
        "app.gates.metrics.Metric",
        "app.gates.schemas.MetricOut",
    ): "what REST promises does not follow what a gate reads, and is in the reader's language",
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
        "app.runs.checkpoint_schemas.CheckpointOut",
        "app.runs.checkpoints.CheckpointLine",
    ): "what REST promises does not follow what the page lists, and says in the reader's language why one is gone",
    (
        "app.notices.schemas.WebhookMadeOut",
        "app.notices.schemas.WebhookRequest",
    ): "what was typed, and what REST shows of the row that came of it",
    (
        "app.recipe_book.schemas.RecipeFieldOut",
        "app.recipes.fields.ConfigField",
    ): "what REST promises does not follow what a form reads, and is in the reader's language",
    (
        "app.recipe_book.schemas.RecipeOut",
        "app.recipes.recipes.Recipe",
    ): "what REST shows of one that cannot be read any more too",
    (
        "app.runs.manifest.Manifest",
        "app.runs.result.RunResult",
    ): "a document that goes out, with a version of its own, and the one that is stored",
    (
        "app.runs.plan_schemas.PlanIn",
        "app.runs.schemas.RunOut",
    ): "what would be started, and what was",
    (
        "app.runs.plan_schemas.PlanIn",
        "app.runs.service.RunRequest",
    ): "what REST is asked for a plan is no start",
    (
        "app.runs.service.RunRequest",
        "app.runs.sweeps.schemas.SweepPlanIn",
    ): "what REST is asked for a plan is no start",
    (
        "app.runs.plan_schemas.StartIn",
        "app.runs.service.RunRequest",
    ): "what REST promises does not follow what a service takes; one method makes the one of the other",
    (
        "app.runs.schemas.RunOut",
        "app.runs.service.RunRequest",
    ): "what is stored of a run, and what was asked for",
}


@cache
def _modules() -> list[tuple[str, ast.Module]]:
    return [(str(path.relative_to(ROOT)), tree) for path, tree in trees("app", "worker")]


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


@dataclass(frozen=True)
class Fields:
    """A class with the fields that it spells itself, and the names of its bases."""

    is_table: bool
    own: frozenset[tuple[str, str]]
    bases: tuple[str, ...]


@cache
def _classes() -> dict[str, Fields]:
    """By full name."""
    found = {}
    for module, tree in _modules():
        name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        imported = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                own = {
                    (part.target.id, _plain(part.annotation))
                    for part in node.body
                    if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
                }
                bases = [ast.unparse(base).partition("[")[0] for base in node.bases]
                found[f"{name}.{node.name}"] = Fields(
                    any(keyword.arg == "table" for keyword in node.keywords),
                    frozenset(own),
                    tuple(imported.get(base, f"{name}.{base}") for base in bases),
                )
    return found


@cache
def _line(name: str) -> frozenset[str]:
    """The class and all that it inherits from, of those that are ours."""
    bases = [base for base in _classes()[name].bases if base in _classes()]
    return frozenset({name}).union(*map(_line, bases))


@cache
def _all_fields(name: str) -> frozenset[tuple[str, str]]:
    """Its own and those that it inherits."""
    return frozenset().union(*(_classes()[one].own for one in _line(name)))


def _alike(one: str, other: str) -> bool:
    """Whether they have many fields in common that no class gives to both."""
    common = _all_fields(one) & _all_fields(other)
    if len(common) < SAME_FIELDS:
        return False
    given = frozenset().union(*(_classes()[base].own for base in _line(one) & _line(other)))
    return len(common - given) >= SAME_FIELDS


def test_every_base_that_is_ours_is_found() -> None:
    """A base that is imported through a package's door would hide its fields from the next test."""
    unknown = {
        f"{name}: {base}"
        for name, fields in _classes().items()
        for base in fields.bases
        if base not in _classes()
        and base.startswith(("app.", "worker."))
        and not base.startswith(f"{name.rpartition('.')[0]}.")
    }
    assert sorted(unknown) == []


def test_no_two_classes_spell_the_same_fields() -> None:
    """One inherits from the other, or embeds it. What REST shows of a table is spelled beside it by design: neither may
    follow the other."""
    models = [name for name in _classes() if not any(_classes()[one].is_table for one in _line(name))]
    alike = {(one, other) for one, other in combinations(sorted(models), 2) if _alike(one, other)}
    # Who inherits what is alike is alike for that reason alone.
    inherited = {
        pair
        for pair in alike
        if any(
            tuple(sorted(above)) in alike - {pair}
            for above in product(_line(pair[0]), _line(pair[1]))
            if above[0] != above[1]
        )
    }
    found = alike - inherited
    assert sorted(found - SPELLED_TWICE.keys()) == []
    assert sorted(SPELLED_TWICE.keys() - found) == [], "these have little in common any more"
