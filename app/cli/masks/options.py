"""The options of the `masks` commands that are mask settings: one for every field of the settings' table."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from app.core.console import CommandFailed
from app.core.errors import Invalid
from app.core.i18n import gettext as _
from app.mask_settings.arguments import read_arguments
from app.mask_settings.fields import MASK_FIELDS, MOST_TOKENS, Kind, MaskField, parse_settings
from app.masking import Argument, MaskSettings

_SETTINGS: Final = "settings"


def with_mask_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command that takes `settings` an option for every mask setting instead; they make its MaskSettings."""

    def called(**values: Any) -> None:
        chosen = {one.name: values.pop(one.name) for one in MASK_FIELDS}
        command(**values, settings=lambda: settings_of(chosen))

    own = [one for one in inspect.signature(command).parameters.values() if one.name != _SETTINGS]
    parameters = [*own, *(_parameter(one) for one in MASK_FIELDS)]
    # Typer reads both.
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    called.__doc__ = command.__doc__
    return called


def _parameter(one: MaskField) -> inspect.Parameter:
    kind, default = one.annotation, one.default
    limits: dict[str, Any] = {}
    if one.kind is Kind.NUMBER:
        kind, limits = int | None, {"min": 1, "max": MOST_TOKENS}
    elif one.kind is Kind.ARGUMENTS:
        kind, default, limits = list[str] | None, None, {"metavar": "NAME=VALUE"}
    option = typer.Option(*one.options, help=_(one.help), **limits)
    return inspect.Parameter(
        one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


def settings_of(chosen: Mapping[str, Any]) -> MaskSettings:
    """The settings that the options make. Raises CommandFailed with a sentence."""
    values = {
        one.name: parse_template_arguments(chosen[one.name] or [])
        if one.kind is Kind.ARGUMENTS
        else chosen[one.name]
        for one in MASK_FIELDS
    }
    try:
        return parse_settings(values)
    except Invalid as error:
        raise CommandFailed(error.translated()) from error


def parse_template_arguments(pairs: list[str]) -> dict[str, Argument]:
    """`name=value` pairs; true, false and numbers as JSON spells them, anything else is text.

    A value in double quotes is text whatever it looks like.
    """
    typed: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise CommandFailed(
                _(
                    "--template-argument wants name=value, as in enable_thinking=false; “%(pair)s” is not that."
                )
                % {"pair": pair}
            )
        if name in typed:
            raise CommandFailed(
                _("--template-argument names %(name)s twice. Keep one of them.") % {"name": name}
            )
        typed[name] = text
    return read_arguments(typed)
