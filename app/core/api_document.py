"""The OpenAPI document of the REST API: what FastAPI knows, and what only the edge knows.

FastAPI sees neither the bearer token (checked before every route) nor the problem documents that every failure
leaves as, nor what the server sends by itself; all are added here. Pages are left out.
"""

from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.core.database import LARGEST_ID
from app.core.routing import DeclaredRoute

PREFIX: Final = "/api/"
REFERENCES: Final = "#/components/schemas/"
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong and what to do, in the language of Accept-Language (RFC 9457).",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for a person."},
        "field": {"type": "string", "description": "The field that is wrong, where there is one."},
        "errors": {
            "type": "array",
            "description": "Every field that is wrong, where there are several.",
            "items": {"type": "object", "additionalProperties": True},
        },
    },
}
_STATUSES: Final = {
    "400": "The body cannot be read.",
    "401": "No token, or one that is unknown, expired, revoked or of a closed account, which is said.",
    "403": "The role or the token's scope is not enough, or no token may do this.",
    "404": "There is nothing with this id.",
    "409": "It changed meanwhile, or its state does not allow this.",
    "413": "The body is over the limit.",
    "422": "The input breaks a rule; `detail` names the field or line.",
    "503": "The database is busy or out of reach. Nothing was changed.",
}
_DESCRIPTION: Final = (
    "Everything the pages can do. Send a token from the Account page as `Authorization: Bearer sft_…`. "
    "Failures are problem documents; their sentences follow `Accept-Language` (English or Chinese)."
)


@dataclass(frozen=True)
class Webhooks:
    """What the server itself sends: path items by the name of what has happened, and the schemas that they name."""

    items: dict[str, Any]
    schemas: dict[str, Any]


def api_document(app: FastAPI, webhooks: Webhooks) -> dict[str, Any]:
    """The document, built once for an application."""
    if app.openapi_schema is None:
        declared = [route for route in app.routes if isinstance(route, DeclaredRoute)]
        routes = [route.made_for(app) for route in declared if route.path.startswith(PREFIX)]
        document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=routes)
        _add_webhooks(document, webhooks)
        _complete(document)
        app.openapi_schema = document
    return app.openapi_schema


def _add_webhooks(document: dict[str, Any], webhooks: Webhooks) -> None:
    document["webhooks"] = webhooks.items
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in webhooks.schemas.items():
        # Of a class that answers have too FastAPI's own is kept, which says the same and no defaults.
        if (
            schemas.setdefault(name, schema).get("properties", {}).keys()
            != schema.get("properties", {}).keys()
        ):
            raise ValueError(f"an answer and a webhook both have a schema {name}, and they differ")


def _complete(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    # FastAPI's own shape of a validation error never leaves the server.
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    _bound_ids(document)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status in _statuses(path, method, operation):
                own = operation["responses"].get(status, {}).get("content", {})
                operation["responses"][status] = {
                    "description": _STATUSES[status],
                    "content": {
                        # Such as the report of an import that brought nothing.
                        **{kind: told for kind, told in own.items() if not _is_validation_error(told)},
                        "application/problem+json": {"schema": {"$ref": f"{REFERENCES}Problem"}},
                    },
                }


def _is_validation_error(told: dict[str, Any]) -> bool:
    """FastAPI's own description, which holds for nothing here."""
    return bool(told.get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"))


def _bound_ids(part: Any, name: str = "") -> None:
    """Say of every id how large it may be."""
    if isinstance(part, list):
        for item in part:
            _bound_ids(item, name)
    if not isinstance(part, dict):
        return
    if part.get("type") == "integer" and (name == "id" or name.endswith(("_id", "_ids"))):
        part.setdefault("maximum", LARGEST_ID)
    name = part.get("name", name) if "in" in part else name
    for key, value in part.items():
        if key == "properties":
            for field, schema in value.items():
                _bound_ids(schema, field)
        else:
            _bound_ids(value, name if key in ("schema", "anyOf", "items") else "")


def _statuses(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    found = ["401", "403", "503"]
    if "{" in path or operation.get("parameters"):
        found += ["404", "422"]
    if "422" in operation["responses"] or "requestBody" in operation:
        found.append("422")
    if method not in {"get", "head"} or "409" in operation["responses"]:
        found.append("409")
    if "requestBody" in operation:
        found += ["400", "404", "413"]
    return sorted(set(found))
