"""What is wrong with a field of a request, in the reader's language and in our words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.core.i18n import translate
from app.sentences import N_

# By the validator's kinds of error; its own English says what is not named here.
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": N_("is missing"),
    "extra_forbidden": N_("is not known here"),
    "json_invalid": N_("the body is not valid JSON"),
    "int_parsing": N_("must be a whole number"),
    "int_type": N_("must be a whole number"),
    "int_from_float": N_("must be a whole number"),
    "int_parsing_size": N_("is too large a number"),
    "float_parsing": N_("must be a number"),
    "float_type": N_("must be a number"),
    "finite_number": N_("must be a number"),
    "bool_parsing": N_("must be true or false"),
    "bool_type": N_("must be true or false"),
    "string_type": N_("must be text"),
    "string_unicode": N_("holds half a character"),
    "string_too_long": N_("must have at most %(max_length)d characters"),
    "string_too_short": N_("must have at least %(min_length)d characters"),
    "string_pattern_mismatch": N_("is not written as it should be"),
    "too_short": N_("must have at least %(min_length)d entries"),
    "too_long": N_("must have at most %(max_length)d entries"),
    "list_type": N_("must be a list"),
    "dict_type": N_("must be an object"),
    "model_type": N_("must be an object"),
    "model_attributes_type": N_("must be an object"),
    "enum": N_("must be one of: %(expected)s"),
    "literal_error": N_("must be one of: %(expected)s"),
    "greater_than_equal": N_("must be at least %(ge)s"),
    "greater_than": N_("must be more than %(gt)s"),
    "less_than_equal": N_("must be at most %(le)s"),
    "less_than": N_("must be less than %(lt)s"),
}
_NO_FILE: Final = N_("must be a file")
_PLACES: Final = frozenset({"body", "query", "path", "header", "cookie"})


def field_messages(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry a field: its name as the client wrote it, and what is wrong with it.

    A field that may be one of several types brings an error for each of them; the first is enough.
    """
    found: dict[str, str] = {}
    for error in errors:
        found.setdefault(_name(error), _sentence(error))
    return [{"field": name, "message": message} for name, message in found.items()]


def _name(error: Mapping[str, Any]) -> str:
    # JSON that breaks off has a position for a place, and members of a union have their type's name.
    if error["type"] == "json_invalid":
        return "JSON"
    parts = [str(part) for part in error["loc"] if part not in _PLACES]
    return ".".join(part for part in parts if "[" not in part)


def _sentence(error: Mapping[str, Any]) -> str:
    message = _SENTENCES.get(error["type"])
    if message is None:
        # What the form parser says of text where a file should be.
        return translate(_NO_FILE, {}) if "UploadFile" in error["msg"] else str(error["msg"])
    values = dict(error.get("ctx") or {})
    if "expected" in values:
        values["expected"] = str(values["expected"]).replace(" or ", ", ")
    return translate(message, values)
