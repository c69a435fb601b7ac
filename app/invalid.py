"""What the validator finds wrong, in our words: each sentence names its field and says what would be right.

The one place where pydantic's kinds of errors become sentences. Requests, forms, the command line, the
environment, suites and the server's answers all speak through it, so one mistake is told in the same words at every
door. Pure: whoever shows a sentence translates it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.sentences import N_, Sentence

_WHOLE_NUMBER: Final = N_("%(field)s must be a whole number.")
_NUMBER: Final = N_("%(field)s must be a number.")
_YES_OR_NO: Final = N_("%(field)s must be true or false.")
_ONE_OF: Final = N_("%(field)s must be one of: %(expected)s.")
_LIST: Final = N_("%(field)s must be a list.")
_MISSING: Final = N_("%(field)s is missing.")
_OBJECT: Final = N_("%(field)s must be an object.")
# By the validator's kinds of error.
_NO_FIELD: Final = N_("There is no field %(field)s here. Leave it out, or look at how it is spelled.")
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": _MISSING,
    "extra_forbidden": _NO_FIELD,
    "unexpected_keyword_argument": _NO_FIELD,
    "int_parsing": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing_size": N_("%(field)s is too large a number."),
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_parsing": _YES_OR_NO,
    "bool_type": _YES_OR_NO,
    "string_type": N_("%(field)s must be text."),
    "string_unicode": N_("%(field)s holds half a character."),
    "string_too_long": N_("%(field)s must have at most %(max_length)d characters."),
    "string_too_short": N_("%(field)s must have at least %(min_length)d characters."),
    "string_pattern_mismatch": N_("%(field)s is not written as it should be."),
    "too_short": N_("%(field)s must have at least %(min_length)d entries."),
    "too_long": N_("%(field)s must have at most %(max_length)d entries."),
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dataclass_type": _OBJECT,
    "union_tag_not_found": _MISSING,
    "union_tag_invalid": _ONE_OF,
    "enum": _ONE_OF,
    "literal_error": _ONE_OF,
    "greater_than_equal": N_("%(field)s must be at least %(ge)s."),
    "greater_than": N_("%(field)s must be more than %(gt)s."),
    "less_than_equal": N_("%(field)s must be at most %(le)s."),
    "less_than": N_("%(field)s must be less than %(lt)s."),
}
# What is said when the whole body is wrong, which has no name.
_NO_OBJECT: Final = N_("The body must be a JSON object.")
_OF_THE_BODY: Final[Mapping[str, str]] = {
    "missing": N_("The body is missing."),
    "dict_type": _NO_OBJECT,
    "model_type": _NO_OBJECT,
    "model_attributes_type": _NO_OBJECT,
    "dataclass_type": _NO_OBJECT,
    "list_type": N_("The body must be a JSON list."),
}
_NOT_JSON: Final = N_("The body is not valid JSON.")
_NO_FILE: Final = N_("%(field)s must be a file.")
# What the validator alone has words for, which are English.
_UNUSABLE: Final = N_("%(field)s cannot be used: %(reason)s")
_PLACES: Final = frozenset({"body", "query", "path", "header", "cookie"})


@dataclass(frozen=True)
class WrongField:
    """A field as the client wrote it (empty for the whole body), and the sentence about it."""

    field: str
    sentence: Sentence


class WrongValue(ValueError):
    """What a validator of our own raises where the sentence, which may name its %(field)s, has further values."""

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template)
        self.sentence = Sentence.of(template, **values)


def wrong_fields(
    errors: Sequence[Mapping[str, Any]], *, called: str | None = None, labels: Mapping[str, str] | None = None
) -> list[WrongField]:
    """One entry a field of a validation error's `errors()`, in their order.

    A field that may be one of several types brings an error for each of them; the first is enough.
    `called` is what the sentences call the field where readers know it by another name, `labels` what they call each of several.
    """
    found: dict[str, WrongField] = {}
    for error in errors:
        name = _name(error)
        if name not in found:
            known_as = called or (labels or {}).get(name) or name
            template, values = _sentence(error, known_as)
            values.setdefault("field", known_as or "JSON")
            found[name] = WrongField(name, Sentence.of(template, **values))
    return list(found.values())


def _name(error: Mapping[str, Any]) -> str:
    # JSON that breaks off has a position for a place, and members of a union have their type's name.
    if error["type"] == "json_invalid":
        return "JSON"
    parts = [str(part) for part in error["loc"] if part not in _PLACES]
    if tag := _tag_field(error):
        parts.append(tag)
    return ".".join(part for part in parts if "[" not in part)


def _tag_field(error: Mapping[str, Any]) -> str | None:
    """The field that tells the members of a union apart, where an error is about that field and stands on its object."""
    if error["type"] not in ("union_tag_invalid", "union_tag_not_found"):
        return None
    return str(error["ctx"]["discriminator"]).strip("'")


def _sentence(error: Mapping[str, Any], name: str) -> tuple[str, dict[str, object]]:
    kind: str = error["type"]
    values = {key: _spoken(value) for key, value in (error.get("ctx") or {}).items()}
    if kind == "json_invalid":
        return _NOT_JSON, {}
    if not name and kind in _OF_THE_BODY:
        return _OF_THE_BODY[kind], {}
    if kind in _SENTENCES:
        if choices := values.get("expected") or values.get("expected_tags"):
            values["expected"] = str(choices).replace(" or ", ", ").replace("'", "")
        return _SENTENCES[kind], values
    # What the form parser says of text where a file should be.
    if "UploadFile" in error["msg"]:
        return _NO_FILE, {}
    # A validator of our own raises ValueError(N_("…")), a whole sentence that may name its field.
    if kind == "value_error":
        if isinstance(raised := error["ctx"]["error"], WrongValue):
            return raised.sentence.template, dict(raised.sentence.values)
        return str(values["error"]), {}
    return _UNUSABLE, {"reason": str(error["msg"])}


def _spoken(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value
