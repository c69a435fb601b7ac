"""Values that no route expects, and a request of each kind of body with one of them in each field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic.fields import FieldInfo

# Below the level at which the JSON reader itself gives up, above what may be stored.
DEEP: Final[Any] = json.loads("[" * 150 + "]" * 150)
TEXTS: Final = (
    "",
    " ",
    "\x00",
    "\ud800",
    "ü€😀\u202e",
    "x" * 5_000,
    "/" + "a" * 400,
    "../../../etc/passwd",
    "http://[",
    "//[",
    "%s%d{0}{{7*7}}",
    "-1",
    "1e999",
    str(2**31),
    str(2**63),
    "9" * 5_000,
    "2026-13-45T99:99",
)
# Moments that cannot be compared with another, or stand beyond the calendar in another zone.
MOMENTS: Final = ("2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
VALUES: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 2**31, 2**63, 10**30, 1e308, [], {}, [None], {"a": DEEP}, DEEP, ["\ud800"], {"\x00": "\x00"}, *TEXTS,
)  # fmt: skip


def schema_example(schema: dict[str, Any], definitions: dict[str, Any], depth: int = 0) -> Any:
    """A value that fits the schema as far as one sees: the first choice, the smallest number, one of each list."""
    if "$ref" in schema:
        return schema_example(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions, depth + 1)
    if "default" in schema and depth > 0 and schema["default"] is not None:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return schema_example(schema[several][0], definitions, depth + 1)
    kind = schema.get("type")
    if kind == "object":
        return {
            name: schema_example(part, definitions, depth + 1)
            for name, part in schema.get("properties", {}).items()
        }
    if kind == "array":
        return [schema_example(schema.get("items", {}), definitions, depth + 1)]
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return True
    return "x" if kind == "string" else None


def with_one_wrong(example: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """(path, document): the example with this value in the place of each part of it, one at a time."""
    yield "", value
    parts: list[tuple[Any, Any]] = []
    if isinstance(example, dict):
        parts = list(example.items())
    elif isinstance(example, list):
        parts = list(enumerate(example[:1]))
    for key, part in parts:
        for path, wrong in with_one_wrong(part, value):
            copy = dict(example) if isinstance(example, dict) else list(example)
            copy[key] = wrong
            yield f".{key}{path}", copy


def parameters_of(route: APIRoute, where: str) -> list[str]:
    """Names of a route's parameters, as they are sent, of one place: query, form or path."""
    return [name for name, _info in _fields(route, where)]


def required_query(route: APIRoute) -> list[str]:
    """Names of the query parameters without which the route does not begin."""
    return [name for name, info in _fields(route, "query") if info.is_required()]


def moments_in_query(route: APIRoute) -> list[str]:
    """Names of the query parameters that are moments in time."""
    return [name for name, info in _fields(route, "query") if info.annotation is datetime]


def _fields(route: APIRoute, where: str) -> Iterator[tuple[str, FieldInfo]]:
    todo: list[Dependant] = [route.dependant]
    while todo:
        dependant = todo.pop()
        todo += dependant.dependencies
        fields = {
            "query": dependant.query_params,
            "path": dependant.path_params,
            "form": dependant.body_params,
        }[where]
        for field in fields:
            inner = getattr(field.field_info.annotation, "model_fields", None)
            if inner:
                yield from ((info.alias or name, info) for name, info in inner.items())
            else:
                yield field.alias, field.field_info
