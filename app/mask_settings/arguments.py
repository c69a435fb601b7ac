"""Arguments of a chat template as forms and addresses carry them: fields named `argument.NAME`, typed values."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import nodes

from app.masking import Argument, ChatTokenizer, MaskingError

PREFIX: Final = "argument."
_SWITCH_TESTS: Final = frozenset({"true", "false", "boolean", "defined", "undefined", "none"})


@dataclass(frozen=True)
class Offered:
    """A name that the template reads. `value` is as typed, empty where the template's own default counts.

    `is_switch`: all the template asks is whether it is true. `words`: texts it compares the argument with.
    """

    name: str
    value: str
    is_switch: bool = False
    words: tuple[str, ...] = ()

    @property
    def options(self) -> list[str]:
        """What a switch can be set to, whatever it is set to included."""
        return list(dict.fromkeys(["true", "false", *([self.value] if self.value else [])]))


def typed_arguments(fields: Mapping[str, Any]) -> dict[str, str]:
    """The arguments among the fields of a form or an address, as typed; emptied ones are not set."""
    found = {
        name.removeprefix(PREFIX): value.strip()
        for name, value in fields.items()
        if name.startswith(PREFIX) and isinstance(value, str)
    }
    return {name: value for name, value in found.items() if value}


def read_arguments(typed: Mapping[str, str]) -> dict[str, Argument]:
    """The values that were meant: true, false and numbers as JSON spells them, anything else is text.

    A value in double quotes is text whatever it looks like.
    """
    return {name: _read(text) for name, text in typed.items()}


def write_arguments(values: Mapping[str, Argument]) -> dict[str, str]:
    """The inverse of `read_arguments`."""
    return {name: _write(value) for name, value in values.items()}


def as_fields(values: Mapping[str, Argument]) -> dict[str, str]:
    """The arguments as fields of an address."""
    return {f"{PREFIX}{name}": text for name, text in write_arguments(values).items()}


def _read(text: str) -> Argument:
    try:
        value = json.loads(text, parse_constant=_is_text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float | str) else text


def _is_text(word: str) -> float:
    """NaN and Infinity are no numbers that a template could be given."""
    raise ValueError(word)


def _write(value: Argument) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    plain = value.strip() == value and value != "" and _read(value) == value and isinstance(_read(value), str)
    return value if plain else json.dumps(value, ensure_ascii=False)


def offered_arguments(tokenizer: ChatTokenizer | None, typed: Mapping[str, str]) -> list[Offered]:
    """Every argument one can give, in the alphabet's order, and those that were given.

    Of a template that does not compile only the latter; the preview says what is wrong with it.
    """
    try:
        uses = _uses(tokenizer) if tokenizer else {}
    except MaskingError:
        uses = {}
    found = [
        Offered(name, typed.get(name, ""), use.is_switch, tuple(sorted(use.words)))
        for name, use in uses.items()
    ]
    found += [Offered(name, text) for name, text in typed.items() if name not in uses]
    return sorted(found, key=lambda one: one.name)


# -- what the template does with them ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Use:
    is_switch: bool
    words: frozenset[str]


@lru_cache(maxsize=16)
def _uses(tokenizer: ChatTokenizer) -> dict[str, _Use]:
    """By name. Lists are left out, for an argument is a plain value, and so are the template's own variables."""
    readable = tokenizer.readable_arguments  # raises where a template is nested too deeply to be walked here
    trees = [one.parse() for one in (tokenizer.template, tokenizer.tool_template) if one is not None]
    hidden = {name for tree in trees for name in (*_walked(tree), *_own(tree))}
    names = sorted(name for name in readable - hidden if not name.startswith("_"))
    return {name: _use_of(name, trees) for name in names}


def _walked(tree: nodes.Template) -> Iterator[str]:
    for loop in tree.find_all(nodes.For):
        walked = _bare(loop.iter)
        parts = walked.iter_child_nodes() if isinstance(walked, nodes.Or) else [walked]
        yield from filter(None, map(_name, parts))


def _own(tree: nodes.Template) -> set[str]:
    """Names the template sets, unless it asks whether they were given (`is defined`, `|default`)."""
    found = {name.name for name in tree.find_all(nodes.Name) if name.ctx in ("store", "param")}
    asked = {_name(test.node) for test in tree.find_all(nodes.Test) if test.name in ("defined", "undefined")}
    asked |= {_name(used.node) for used in tree.find_all(nodes.Filter) if used.name in ("default", "d")}
    return found - asked


def _use_of(name: str, trees: Sequence[nodes.Template]) -> _Use:
    """A switch is read nowhere but where the template asks whether something is true."""
    read = [
        one for tree in trees for one in tree.find_all(nodes.Name) if one.name == name and one.ctx == "load"
    ]
    asked = {id(one) for tree in trees for one in _asked(tree)}
    compared = (node for tree in trees for node in tree.find_all(nodes.Compare))
    constants = [value for node in compared if _name(_bare(node.expr)) == name for value in _constants(node)]
    words = frozenset(value for value in constants if isinstance(value, str))
    return _Use(bool(read) and not words and all(id(one) in asked for one in read), words)


def _asked(tree: nodes.Template) -> Iterator[nodes.Node]:
    yield from (chosen.test for chosen in tree.find_all(nodes.If))
    yield from (chosen.test for chosen in tree.find_all(nodes.CondExpr))
    for joined in (*tree.find_all(nodes.Not), *tree.find_all(nodes.And), *tree.find_all(nodes.Or)):
        yield from joined.iter_child_nodes()
    for test in tree.find_all(nodes.Test):
        if test.name in _SWITCH_TESTS:
            yield test.node
    for compared in tree.find_all(nodes.Compare):
        if all(isinstance(value, bool) for value in _constants(compared)):
            yield compared.expr


def _constants(node: nodes.Compare) -> Iterator[object]:
    for operand in node.ops:
        for constant in (operand.expr, *operand.expr.find_all(nodes.Const)):
            if isinstance(constant, nodes.Const):
                yield constant.value


def _bare(node: nodes.Node | None) -> nodes.Node | None:
    """Without the filters around it."""
    while isinstance(node, nodes.Filter):
        node = node.node
    return node


def _name(node: nodes.Node | None) -> str:
    return node.name if isinstance(node, nodes.Name) else ""
