"""Watches what pages are given while tests render them.

A name that stands only in a branch that is not taken is missed by nobody until somebody takes it. So each rendering must be given
every name that the template and its parts read; what they ask for with `is defined` may be left out.
"""

from typing import Any, Final

from jinja2 import Template

from app.core.templating import templates
from tests.support.template_inputs import needed_by

found: Final[list[str]] = []


class Watched(Template):
    """A template that says which names it was not given."""

    def render(self, *args: Any, **kwargs: Any) -> str:
        given = dict(*args, **kwargs)
        if self.name:
            missing = needed_by(self.name) - given.keys()
            found.extend(f"{self.name} is not given {name}" for name in sorted(missing))
        return super().render(given)


def install() -> None:
    """For every template that is loaded from now on."""
    templates.template_class = Watched
