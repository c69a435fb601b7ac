"""Chat templates in a sandbox, with the meaning transformers gives them:
the same filters, globals, tags and trimming.

Templates are code from strangers. The sandbox stops attribute tricks and oversized repetition; what needs a
clock or a memory limit is for `rooms`, where every template renders that is not our own.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, lru_cache, wraps
from typing import Any

import jinja2
import jinja2.ext
import jinja2.meta
import jinja2.nodes
import jinja2.parser
import jinja2.runtime
import jinja2.sandbox
import jinja2.utils

from app.masking.errors import TemplateFailed
from app.sentences import N_

LARGEST_REPETITION = 1_000_000
_LONGEST_FORMAT = 1000
_WIDE_FORMAT = re.compile(r"[%{:][^%{}]*[0-9]{7,}")
_SIZED_FILTERS = ("batch", "center", "format", "indent", "round", "slice", "truncate", "wordwrap")
_DICT_NAMES = frozenset(dir(dict))
_LOOP_NAMES = frozenset({"index", "index0", "first", "last", "length", "revindex", "revindex0"})


class GenerationTag(jinja2.ext.Extension):
    """`{% generation %}…{% endgeneration %}`: renders its body;
    while recording, remembers where the body lies.
    """

    tags = {"generation"}  # noqa: RUF012  (the name and type are Jinja's)

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        environment.extend(generation_tag=self)
        self.written: list[str] | None = None
        self.blocks: list[tuple[int, int]] = []

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_record"), [], [], body).set_lineno(line)

    def _record(self, caller: Callable[[], str]) -> str:
        body = caller()
        if self.written is not None:
            start = sum(map(len, self.written))
            self.blocks.append((start, start + len(body)))
        return body


class Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox that also refuses to repeat a value into something enormous."""

    intercepted_binops = frozenset({"*", "**", "%"})

    # Most of what templates read are fields of plain messages, loop counters and namespace
    # values. These three get the answer the sandbox would give after its longer
    # examination; everything else takes the long way.

    def getattr(self, obj: Any, attribute: str) -> Any:
        kind = type(obj)
        if kind is dict:
            if attribute not in _DICT_NAMES and attribute in obj:
                return obj[attribute]
        elif (kind is jinja2.runtime.LoopContext and attribute in _LOOP_NAMES) or (
            kind is _Namespace and not attribute.startswith("_")
        ):
            try:
                return getattr(obj, attribute)
            except AttributeError:
                pass
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if type(obj) is dict and type(argument) is str and argument in obj:
            return obj[argument]
        return super().getitem(obj, argument)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            if not (isinstance(left, int | float) and isinstance(right, int | float)) or abs(right) > 64:
                raise jinja2.exceptions.SecurityError("a chat template may not raise to a power this large")
        elif operator == "*":
            for value, times in ((left, right), (right, left)):
                repeats = isinstance(value, str | list | tuple) and isinstance(times, int)
                if repeats and len(value) * times > LARGEST_REPETITION:
                    raise jinja2.exceptions.SecurityError("a chat template may not repeat a value this often")
        elif isinstance(left, str):
            _refuse_large((left, right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: jinja2.runtime.Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_large((*args, *kwargs.values()))
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _refuse_large((value.__self__,))
        return wrapped


def _refuse_large(values: Iterable[Any]) -> None:
    """Widths and counts beyond any use: as numbers, or inside a format."""
    for value in values:
        if isinstance(value, int) and abs(value) > LARGEST_REPETITION:
            raise jinja2.exceptions.SecurityError(
                "a chat template may not ask for a width or count this large"
            )
        if isinstance(value, str) and len(value) < _LONGEST_FORMAT and _WIDE_FORMAT.search(value):
            raise jinja2.exceptions.SecurityError("a chat template may not format to a width this large")


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that takes no enormous width or count."""

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        _refuse_large((*args, *kwargs.values()))
        return function(*args, **kwargs)

    return guarded


_PASSED: dict[str, Callable[[jinja2.runtime.Context], Any]] = {
    "context": lambda context: context,
    "eval_context": lambda context: context.eval_ctx,
    "environment": lambda context: context.environment,
}


def _not_at_compile_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that Jinja cannot work out while it compiles, for there are no limits then.

    It does so with every filter of constants, unless the filter asks for the context of a rendering.
    """
    wanted = getattr(function, "jinja_pass_arg", None)  # what else Jinja passes to the filter, if anything
    choose = None if wanted is None else _PASSED[wanted.name]

    @jinja2.pass_context
    @wraps(function)
    def at_rendering(context: jinja2.runtime.Context, /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if choose is None else function(choose(context), *args, **kwargs)

    return at_rendering


class _Dict:
    """`dict(...)` without the class behind it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


class _Namespace(jinja2.utils.Namespace):
    """`namespace(...)` that takes no underscore names, which lead to the interpreter's insides."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # `self=…` must stay a usable name
        self, positional = args[0], args[1:]
        values = dict(*positional, **kwargs)
        for name in values:
            _refuse_underscore(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_underscore(name)
        super().__setitem__(name, value)


def _refuse_underscore(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a chat template may not store {name!r} on a namespace")


def _raise_exception(message: str) -> None:
    raise jinja2.exceptions.TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005  (transformers writes the local date)


def _clock_at(moment: datetime | None) -> dict[str, Callable[[str], str]]:
    """A clock that stands still, so that renderings which are compared say the same; none: the running one."""
    return {} if moment is None else {"strftime_now": moment.strftime}


def build_environment() -> Sandbox:
    """A fresh environment; each template gets its own, for the generation tag keeps state in it."""
    environment = Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    for name in _SIZED_FILTERS:
        environment.filters[name] = _guarded(environment.filters[name])
    for name, function in environment.filters.items():
        environment.filters[name] = _not_at_compile_time(function)
    environment.globals.update(
        raise_exception=_raise_exception, strftime_now=_strftime_now, dict=_Dict(), namespace=_Namespace
    )
    return environment


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
