"""One chat template by its source: what it reads, and what it writes for a conversation, in this process.

Templates are code from strangers: those that are not our own render in a process of their own, see `isolated`.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.meta
import jinja2.nodes

from app.masking.errors import TemplateFailed
from app.masking.templates.environment import GenerationTag, build_environment
from app.sentences import N_
from app.unlocked import cached_property


def _clock_at(moment: datetime | None) -> dict[str, Callable[[str], str]]:
    """A clock that stands still, so that renderings which are compared say the same; none: the running one."""
    return {} if moment is None else {"strftime_now": moment.strftime}


@lru_cache(maxsize=256)
def _compile(source: str) -> jinja2.Template:
    template = build_environment().from_string(source)
    # a plain dict, for Jinja copies it at every rendering
    template.globals = dict(template.globals)
    return template


class ChatTemplate:
    """One template by its source text, with a name that errors can use."""

    def __init__(self, source: str, name: str = "chat_template") -> None:
        self.source = source
        self.name = name

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()

    @cached_property
    def compiled(self) -> jinja2.Template:
        with self._compiling():
            return _compile(self.source)

    def parse(self) -> jinja2.nodes.Template:
        """A new tree of its statements, for Jinja changes the trees it works on; nothing of it is worked out."""
        with self._compiling():
            return build_environment().parse(self.source)

    @cached_property
    def reads(self) -> frozenset[str]:
        """The names that the template takes from outside, globals left out."""
        with self._compiling():
            return frozenset(jinja2.meta.find_undeclared_variables(self.parse()))

    @cached_property
    def reads_the_clock(self) -> bool:
        """Whether what it writes may depend on the date."""
        with self._compiling():
            return any(name.name == "strftime_now" for name in self.parse().find_all(jinja2.nodes.Name))

    @contextmanager
    def _compiling(self) -> Iterator[None]:
        try:
            yield
        except (jinja2.TemplateError, ValueError, RecursionError) as error:  # ValueError: thousands of digits
            raise TemplateFailed(
                N_("The chat template %(template)s does not compile: %(reason)s"),
                template=self.name,
                reason=error,
            ) from error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        variables: Mapping[str, Any],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[Any] | None = None,
        moment: datetime | None = None,
    ) -> str:
        """The conversation as text, at `moment` (now). Raises TemplateFailed with the template's own words."""
        with self._own_words():
            text = self.compiled.render(
                messages=messages,
                tools=tools,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **_clock_at(moment),
                **variables,
            )
            if not text.isascii():
                text.encode()  # half a character is a ValueError
            return text

    def render_with_generation_blocks(
        self,
        messages: Sequence[Mapping[str, Any]],
        variables: Mapping[str, Any],
        tools: Sequence[Any] | None = None,
    ) -> tuple[str, list[tuple[int, int]]]:
        """The text, and where the template's own generation markers lie in it (a cross-check, never the
        truth).
        """
        tag: GenerationTag = self.compiled.environment.generation_tag  # type: ignore[attr-defined]
        tag.written, tag.blocks = [], []
        try:
            with self._own_words():
                for piece in self.compiled.generate(
                    messages=messages, tools=tools, documents=None, add_generation_prompt=False, **variables
                ):
                    tag.written.append(piece)
            return "".join(tag.written), list(tag.blocks)
        finally:
            tag.written, tag.blocks = None, []

    @contextmanager
    def _own_words(self) -> Iterator[None]:
        try:
            yield
        except jinja2.exceptions.SecurityError as error:
            raise TemplateFailed(
                N_("The chat template %(template)s did something the sandbox forbids: %(reason)s"),
                template=self.name,
                reason=error,
            ) from error
        except (
            jinja2.TemplateError,
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            raise TemplateFailed(
                N_("The chat template %(template)s cannot render this conversation: %(reason)s"),
                template=self.name,
                reason=str(error) or type(error).__name__,
            ) from error
