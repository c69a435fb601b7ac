"""What crosses from one package to another has a name: no function, method or field that others use takes or gives a
dictionary of anything. Forms that JSON itself has are the exception, each with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.sources import trees

ROOT = Path(__file__).parents[2]
ANYTHING: Final = ("dict[str, Any]", "Mapping[str, Any]", "dict[str, object]")
# Typed things becoming JSON and back: whatever calls these has a class already.
SERIALISED: Final = {
    "to_json",
    "from_json",
    "stored",
    "stored_in",
    "upgrade",
    "process_bind_param",
    "process_result_value",
}
ALLOWED: Final = {
    "readers: JSON of strangers, of which they make something typed or refuse it": {
        "app.conversations.content.read_dialogue",
        "app.conversations.drafts.create_conversation",
        "app.conversations.service.say",
        "app.dialogue.canonical.canonical_conversation",
        "app.dialogue.canonical.canonical_message",
        "app.dialogue.labels.read_labels",
        "app.dialogue.reading.read_conversation",
        "app.interchange.records.column_map.ColumnMap.apply",
        "app.invalid.wrong_fields",
        "app.mask_settings.arguments.typed_arguments",
        "app.mask_settings.fields.parse_settings",
        "app.mask_settings.fields.read_settings",
    },
    "settings as somebody typed them, which the server judges": {
        "app.client.pipeline.check_recipe",
        "app.client.pipeline.mixing_changes",
        "app.client.pipeline.parse_changes",
        "app.client.pipeline.require_green_check",
        "app.client.pipeline.split_changes",
        "app.client.rest.StudioClient.plan_run",
        "app.client.rest.StudioClient.request_mask_check",
        "app.client.rest.StudioClient.start_run",
    },
    "the queue serves all kinds: its rows and lines are read as the classes of a kind": {
        "app.jobs.models.Job.failure",
        "app.jobs.models.Job.payload",
        "app.jobs.models.Job.result",
        "app.jobs.models.JobEvent.payload",
        "app.jobs.schemas.EventOut.payload",
        "app.jobs.service.Claim.payload",
        "app.jobs.service.EventData",
        "app.jobs.service.begin_again",
        "app.jobs.service.finish",
        "app.jobs.service.heartbeat",
        "app.jobs.service.pause",
        "app.jobs.service.release",
        "app.line_process.LineProcess.messages",
        "app.line_process.LineProcess.send",
    },
    "values by the names of a row's columns, on their way into the row": {
        "app.accounts.who.Who.columns",
        "app.conversations.content.content_columns",
        "app.conversations.content.told_columns",
        "app.conversations.drafts.insert_drafts",
        "app.conversations.revisions.snapshot_of",
    },
    "stored as it was told, and read by one function of its own package": {
        "app.evaluations.models.Evaluation.suite",
        "app.scoring.suites.Suite.content",
    },
    "documents of JSON Schema and OpenAPI, and the report that an export's header carries": {
        "app.client.rest.StudioClient.export_version",
        "app.core.api_document.Webhooks.items",
        "app.core.api_document.Webhooks.schemas",
        "app.core.api_document.api_document",
        "app.core.ranges.DOCUMENTED",
        "app.recipes.fields.changes_schema",
    },
    "configurations of other trainers, under their own names": {
        "app.interchange.exports.tool_configs.commented_yaml",
    },
    "what a page reads: tests/core/test_templates.py finds each name": {"app.core.templating.render"},
}


def _package(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[:2])


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _is_of_anything(annotation: ast.expr | None, aliases: set[str]) -> bool:
    if annotation is None:
        return False
    text = ast.unparse(annotation)
    named = (node.id for node in ast.walk(annotation) if isinstance(node, ast.Name))
    return any(words in text for words in ANYTHING) or any(name in aliases for name in named)


def _aliases(tree: ast.Module) -> set[str]:
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and _is_of_anything(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _untyped(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """A module's public names that take, give or hold dictionaries of anything: the top name, the whole one."""
    aliases = _aliases(tree)

    def is_untyped(node: ast.stmt) -> bool:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            hints = [node.returns, *(one.annotation for one in parameters)]
            return node.name not in SERIALISED and any(_is_of_anything(hint, aliases) for hint in hints)
        return isinstance(node, ast.AnnAssign) and _is_of_anything(node.annotation, aliases)

    yield from ((name, name) for name in aliases)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if is_untyped(member) and (name := _name(member)) and not name.startswith("_"):
                    yield node.name, f"{node.name}.{name}"
        elif is_untyped(node):
            yield _name(node), _name(node)


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.AnnAssign):
        return node.target.id if isinstance(node.target, ast.Name) else ""
    return str(getattr(node, "name", ""))


def _used_elsewhere(trees: dict[Path, ast.Module]) -> set[tuple[str, str]]:
    """(module, name) of everything that a module of another package imports, or reaches through the module."""
    used = set()
    for path, tree in trees.items():
        modules: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    if ".".join(f"{node.module}.{alias.name}".split(".")[:2]) != _package(path):
                        used.add((node.module, alias.name))
                        modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in modules
            ):
                used.add((modules[node.value.id], node.attr))
    return used


def test_no_dictionary_of_anything_crosses_a_packages_border() -> None:
    by_path = dict(trees("app", "worker"))
    used = _used_elsewhere(by_path)
    crossing = {
        f"{_module(path)}.{whole}"
        for path, tree in by_path.items()
        for top, whole in _untyped(tree)
        if (_module(path), top) in used
    }
    allowed = set().union(*ALLOWED.values())
    assert sorted(crossing - allowed) == [], "give it a TypedDict, a dataclass or a pydantic model"
    assert sorted(allowed - crossing) == [], "these cross no border any more"
