"""What the parser of the command line refuses, in our words and the reader's language: each sentence names the option."""

import re
from typing import Any, Final

import typer
from pydantic import ValidationError

from app.core.i18n import gettext as _
from app.core.i18n import say
from app.invalid import wrong_fields
from app.sentences import N_

_NOT_ONE_OF: Final = re.compile(r"is not one of (.+?)\.?$")
_NO_SUCH_COMMAND: Final = re.compile(r"No such command '(.*?)'\.(?: Did you mean '?(.*?)'?\?)?$")
_MUST_BE_ONE_OF: Final = N_("%(field)s must be one of: %(expected)s.")


def usage_problem(error: typer.TyperException) -> str:
    """The sentence. What has none of ours is said as the parser says it."""
    kind = type(error).__name__
    name = _name(error)
    if kind == "MissingParameter" and name:
        return _("%(field)s is missing.") % {"field": name}
    if kind == "NoSuchOption":
        option: str = getattr(error, "option_name", "")
        alike = ", ".join(getattr(error, "possibilities", None) or ())
        if alike:
            return _("There is no option %(option)s. Similar ones: %(alike)s.") % {
                "option": option,
                "alike": alike,
            }
        return _("There is no option %(option)s.") % {"option": option}
    if kind == "BadOptionUsage":
        return _("%(option)s needs a value.") % {"option": getattr(error, "option_name", "")}
    if isinstance(error.__cause__, ValidationError) and name:
        return _wrong_value(error.__cause__, name)
    if kind == "BadParameter" and (own := getattr(error, "message", "")):
        return f"{name}: {own}" if name else own
    told = getattr(error, "format_message", None)
    text = str(told() if told else error).strip()
    if found := _NO_SUCH_COMMAND.match(text):
        if found[2]:
            return _("There is no command “%(name)s”. Did you mean “%(alike)s”?") % {
                "name": found[1],
                "alike": found[2].replace("', '", "”, “"),
            }
        return _("There is no command “%(name)s”.") % {"name": found[1]}
    return text


def _wrong_value(cause: ValidationError, name: str) -> str:
    if found := _NOT_ONE_OF.search(cause.errors()[0]["msg"]):
        return _(_MUST_BE_ONE_OF) % {"field": name, "expected": found[1].replace("'", "")}
    return say(wrong_fields(cause.errors(), called=name)[0].sentence)


def _name(error: typer.TyperException) -> str:
    """The option or argument as a person writes it: --run, FILE."""
    param: Any = getattr(error, "param", None)
    if param is None:
        return ""
    return next((option for option in param.opts if option.startswith("--")), str(param.opts[0]).upper())
