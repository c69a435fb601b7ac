"""What webhooks send, as the API's document describes it: a schema for each event, what chat programs get, the headers of all."""

from typing import Any, Final

from app.core.api_document import REFERENCES, Webhooks
from app.notices.formats import envelope
from app.notices.messages import EVENT_WORDS, Event, Message, MessageData
from app.notices.models import Format
from app.notices.sending import AGENT, PAUSES_SECONDS, TIME_LIMIT_SECONDS
from app.notices.signing import ID_HEADER, SIGNATURE_HEADER, TIME_HEADER

_RUN: Final = frozenset({"run_id", "run", "asked_by", "page"})
_EVALUATION: Final = _RUN | {"evaluation_id", "suite"}
_FAILURE: Final = frozenset({"error", "error_code"})
# Of `data`, by event: what is always there, and what is there or null. All else is null.
_TOLD: Final[dict[Event, tuple[frozenset[str], frozenset[str]]]] = {
    Event.RUN_SUCCEEDED: (_RUN, frozenset({"url"})),
    Event.RUN_FAILED: (_RUN, _FAILURE | {"url"}),
    Event.RUN_CANCELLED: (_RUN, _FAILURE | {"url"}),
    Event.EVALUATION_SUCCEEDED: (_EVALUATION, frozenset({"verdict", "url"})),
    Event.EVALUATION_FAILED: (_EVALUATION, _FAILURE | {"verdict", "url"}),
    Event.GATE_JUDGED: (frozenset({"run_id", "run", "page"}), _FAILURE | {"gate", "url"}),
    Event.TEST: (frozenset({"asked_by", "page"}), frozenset({"url"})),
}
_HEADERS: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    (
        ID_HEADER,
        {"type": "string", "pattern": "^msg_[0-9a-f]{32}$"},
        "Of the message; the same however often it is sent. Take each once.",
    ),
    (
        TIME_HEADER,
        {"type": "integer"},
        "When this attempt was sent, in seconds since 1970. Refuse what is older than five minutes.",
    ),
    (
        SIGNATURE_HEADER,
        {"type": "string", "pattern": "^v1,[A-Za-z0-9+/]{43}=$"},
        "`v1,` and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`, the body as its bytes came; the key is what "
        "the base64 behind `whsec_` in the webhook's secret stands for. Standard Webhooks.",
    ),
    ("user-agent", {"const": AGENT}, "Who sends it."),
)
_DESCRIPTION: Final = (
    "POST to the address of each webhook that has this event among its own. The body is a message in the format `json`, one line of text "
    "in its envelope in the others."
)
_RESPONSES: Final = {
    "2XX": {"description": "Taken. Nothing of the answer is read but its status."},
    "default": {
        "description": (
            f"Not taken, as is no answer within {TIME_LIMIT_SECONDS:.0f} seconds. Sent again, after "
            f"{', '.join(map(str, PAUSES_SECONDS))} seconds, then given up. Redirects are not followed."
        )
    },
}


def describe() -> Webhooks:
    """One operation for each event, under the event's name; a test and a gate among them."""
    whole = Message.model_json_schema(mode="serialization", ref_template=REFERENCES + "{model}")
    schemas: dict[str, Any] = whole.pop("$defs")
    data = schemas[MessageData.__name__]
    schemas |= {_event_name(event): _event_schema(event, whole, data) for event in Event}
    chats = {_chat_name(one): _like(envelope(one, "")) for one in Format if one is not Format.JSON}
    schemas |= chats
    return Webhooks({event.value: {"post": _operation(event, list(chats))} for event in Event}, schemas)


def _operation(event: Event, chats: list[str]) -> dict[str, Any]:
    bodies = [{"$ref": REFERENCES + name} for name in (_event_name(event), *chats)]
    return {
        "operationId": f"webhook_{event.value.replace('.', '_')}",
        "summary": EVENT_WORDS[event],
        "description": _DESCRIPTION,
        "tags": ["webhooks"],
        # The signature says who sends it; there is no token.
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": schema, "description": words}
            for name, schema, words in _HEADERS
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"anyOf": bodies}}}},
        "responses": _RESPONSES,
    }


def _event_name(event: Event) -> str:
    return "Webhook" + "".join(part.capitalize() for part in event.value.split("."))


def _chat_name(format: Format) -> str:
    return f"Webhook{format.value.capitalize()}Text"


def _event_schema(event: Event, whole: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """The message with what this event has of it: every field is there, and null where it is not the event's."""
    always, sometimes = _TOLD[event]
    fields = {}
    for name, schema in data["properties"].items():
        (told,) = (one for one in schema["anyOf"] if one != {"type": "null"})
        fields[name] = told if name in always else schema if name in sometimes else {"type": "null"}
    own = {**data, "properties": fields, "required": list(fields), "title": f"{_event_name(event)}Data"}
    properties = {**whole["properties"], "type": {"const": event.value}, "data": own}
    return {
        **whole,
        "title": _event_name(event),
        "description": EVENT_WORDS[event],
        "properties": properties,
        "required": list(properties),
    }


def _like(sent: object) -> dict[str, Any]:
    """The schema of an envelope: its texts are the message's, or the name of their kind."""
    if isinstance(sent, dict):
        properties = {name: _like(value) for name, value in sent.items()}
        return {"type": "object", "properties": properties, "required": list(properties)}
    return {"const": sent} if sent else {"type": "string"}
