"""The sandbox that chat templates run in, with the meaning transformers gives them: the same filters, globals, tags
and trimming.

It stops attribute tricks and oversized repetition; what needs a clock or a memory limit is for `isolated`.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.runtime
import jinja2.sandbox
import jinja2.utils

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
