"""Where message text may flow in a template: the kinds of values that its expressions hold.

A flow-insensitive data flow over names: once a name may hold text, it holds text everywhere.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from itertools import pairwise
from typing import Any

from jinja2 import nodes

TEXT_FIELD = "content"
SAME_TEXT = frozenset({"trim", "string", "safe", "default", "d"})
TRIMMING = frozenset({"strip", "lstrip", "rstrip"})
CARRIER_FILTERS = frozenset({"list", "reverse", "first", "last", "selectattr", "rejectattr"})
TYPE_TESTS: Mapping[str, bool] = {
    "string": True,
    "iterable": True,
    "sequence": True,
    "defined": True,
    "mapping": False,
    "none": False,
    "undefined": False,
    "number": False,
    "boolean": False,
    "true": False,
    "false": False,
}


class Seeing(Exception):
    """The proof does not go through; the message says at what."""


class Kind(IntEnum):
    """What an expression may hold: nothing of the messages, message text, pieces of text, or whole messages."""

    CLEAN = 0
    TEXT = 1
    PIECES = 2
    CARRIER = 3


class Expressions:
    """What each expression of a template may hold. Bodies and tests are for the classes built on this one."""

    def __init__(self, tree: nodes.Template) -> None:
        self.tree = tree
        self.names: dict[str, Kind] = {"messages": Kind.CARRIER}
        self.macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        self.macro_kinds: dict[str, Kind] = dict.fromkeys(self.macros, Kind.CLEAN)
        self.words: set[str] = set()
        self.compares_texts = False
        self.joins_texts = False
        self.not_text_here: list[str] = []
        self.changed = True

    def _body(self, body: Iterable[nodes.Node]) -> Kind:
        raise NotImplementedError  # BlindnessProof walks statements

    def _raise_kind(self, name: str, kind: Kind) -> None:
        raise NotImplementedError  # BlindnessProof keeps the names

    def _test(self, node: nodes.Node) -> bool | None:
        raise NotImplementedError  # Outcomes judges tests

    def _searches(self, node: nodes.Call) -> bool:
        raise NotImplementedError  # Outcomes knows what a search is

    def _watch(self, node: nodes.Node) -> None:
        raise NotImplementedError  # Outcomes collects the watch words

    def _kind(self, node: nodes.Node) -> Kind:
        if isinstance(node, nodes.Const | nodes.TemplateData):
            return Kind.CLEAN
        if isinstance(node, nodes.Name):
            return Kind.CLEAN if node.name in self.not_text_here else self.names.get(node.name, Kind.CLEAN)
        if isinstance(node, nodes.Getattr):
            return self._attribute(node.node, node.attr)
        if isinstance(node, nodes.Getitem):
            return self._item(node)
        if isinstance(node, nodes.Add | nodes.Concat):
            return self._joined(node)
        if isinstance(node, nodes.Filter):
            return self._filtered(node)
        if isinstance(node, nodes.Call):
            return self._called(node)
        if isinstance(node, nodes.CondExpr):
            outcome = self._test(node.test)
            first = Kind.CLEAN if outcome is False else self._kind(node.expr1)
            return (
                first
                if outcome is True or node.expr2 is None
                else self._either(first, self._kind(node.expr2))
            )
        if isinstance(node, nodes.And | nodes.Or):
            return self._either(self._kind_after_test(node.left), self._kind_after_test(node.right))
        if isinstance(node, nodes.Not | nodes.Compare | nodes.Test):
            self._test(node) if not isinstance(node, nodes.Test) else self._plain_test(node)
            return Kind.CLEAN
        for child in node.iter_child_nodes():
            if self._kind(child) is not Kind.CLEAN:
                raise Seeing(type(node).__name__)
        return Kind.CLEAN

    def _kind_after_test(self, node: nodes.Node) -> Kind:
        self._test(node)
        return self._kind(node)

    def _plain_test(self, node: nodes.Test) -> None:
        if node.name not in TYPE_TESTS:
            for child in node.iter_child_nodes():
                if self._kind(child) is not Kind.CLEAN:
                    raise Seeing(f"the test {node.name}")
        else:
            self._kind(node.node)

    @staticmethod
    def _either(first: Kind, second: Kind) -> Kind:
        if first is not second and Kind.CLEAN not in (first, second):
            raise Seeing("different things in one place")
        return max(first, second)

    def _attribute(self, owner: nodes.Node, attribute: str) -> Kind:
        if isinstance(owner, nodes.Name) and owner.name == "loop":
            return Kind.CARRIER if attribute in ("previtem", "nextitem") else Kind.CLEAN
        kind = self._kind(owner)
        if kind is Kind.CARRIER:
            return Kind.TEXT if attribute == TEXT_FIELD else Kind.CLEAN
        if kind is not Kind.CLEAN:
            raise Seeing(f"the attribute {attribute} of a text")
        return (
            self.names.get(f"{owner.name}.{attribute}", Kind.CLEAN) if isinstance(owner, nodes.Name) else kind
        )

    def _item(self, node: nodes.Getitem) -> Kind:
        kind = self._kind(node.node)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._attribute(node.node, node.arg.value)
        if isinstance(node.arg, nodes.Slice):
            steps = [part for part in (node.arg.start, node.arg.stop, node.arg.step) if part is not None]
            if any(self._kind(part) is not Kind.CLEAN for part in steps) or kind in (Kind.TEXT, Kind.PIECES):
                raise Seeing("cuts a text")
            return kind
        if self._kind(node.arg) is not Kind.CLEAN:
            raise Seeing("looks something up by a text")
        if kind is Kind.TEXT:
            raise Seeing("takes a character of a text")
        if kind is Kind.PIECES:
            ends = isinstance(node.arg, nodes.Const | nodes.Neg) and node.arg.as_const() in (0, -1)
            if not ends:
                raise Seeing("takes a middle piece of a text")
            return Kind.TEXT
        return kind

    def _joined(self, node: nodes.Add | nodes.Concat) -> Kind:
        parts = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
        kinds = [self._kind(part) for part in parts]
        if max(kinds) > Kind.TEXT:
            raise Seeing("joins whole messages")
        self.joins_texts |= any(
            self._edge(left, last=True) and self._edge(right, last=False) for left, right in pairwise(parts)
        )
        return max(kinds)

    def _edge(self, node: nodes.Node, *, last: bool) -> bool:
        """Whether an expression's first or last part is text."""
        if isinstance(node, nodes.Concat):
            return self._edge(node.nodes[-1 if last else 0], last=last)
        if isinstance(node, nodes.Add):
            return self._edge(node.right if last else node.left, last=last)
        return self._kind(node) is Kind.TEXT

    def _filtered(self, node: nodes.Filter) -> Kind:
        if node.node is None:
            raise Seeing("a filtered block")
        kind = self._kind(node.node)
        arguments = [*node.args, *(pair.value for pair in node.kwargs)]
        if any(self._kind(argument) is not Kind.CLEAN for argument in arguments):
            raise Seeing(f"gives a text to the filter {node.name}")
        if kind is Kind.CLEAN:
            return kind
        if kind is Kind.TEXT and node.name in SAME_TEXT and (node.name != "trim" or not arguments):
            return kind
        if kind is Kind.CARRIER and node.name in ("length", "count"):
            return Kind.CLEAN
        if kind is Kind.CARRIER and node.name in CARRIER_FILTERS and not self._names_the_field(arguments):
            return kind
        raise Seeing(f"the filter {node.name}")

    @staticmethod
    def _names_the_field(arguments: list[Any]) -> bool:
        return any(not isinstance(one, nodes.Const) or one.value == TEXT_FIELD for one in arguments)

    def _called(self, node: nodes.Call) -> Kind:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Seeing("a call with unpacked arguments")
        if isinstance(node.node, nodes.Getattr):
            found = self._method(node, node.node)
            if found is not None:
                return found
        keywords = {pair.key: self._kind(pair.value) for pair in node.kwargs}
        kinds = [self._kind(argument) for argument in node.args]
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            if name in self.macros:
                return self._macro_call(self.macros[name], kinds, keywords)
            if name == "raise_exception":
                return Kind.CLEAN
            if name == "namespace" and not kinds:
                return self._namespace(keywords)
        if self._kind(node.node) is not Kind.CLEAN or any(kinds) or any(keywords.values()):
            raise Seeing("gives a text to a function")
        return Kind.CLEAN

    def _namespace(self, keywords: Mapping[str, Kind]) -> Kind:
        if any(keywords.values()):
            raise Seeing("starts a namespace with a text")
        return Kind.CLEAN

    def _method(self, node: nodes.Call, called: nodes.Getattr) -> Kind | None:
        owner = self._kind(called.node)
        if (
            owner is Kind.CARRIER
            and called.attr == "get"
            and node.args
            and isinstance(node.args[0], nodes.Const)
        ):
            return self._attribute(called.node, str(node.args[0].value))
        if owner is Kind.TEXT and called.attr in TRIMMING:
            if all(isinstance(one, nodes.Const) and not str(one.value).strip() for one in node.args):
                return Kind.TEXT
            raise Seeing("trims more than white space")
        if owner is Kind.TEXT and called.attr == "split" and len(node.args) == 1:
            self._watch(node.args[0])
            return Kind.PIECES
        if owner is Kind.TEXT and self._searches(node):
            return Kind.CLEAN
        if owner is not Kind.CLEAN:
            raise Seeing(f"the method {called.attr}")
        return None

    def _macro_call(self, macro: nodes.Macro, kinds: list[Kind], keywords: Mapping[str, Kind]) -> Kind:
        if len(kinds) > len(macro.args):
            raise Seeing("a macro with more arguments than names")
        if not keywords.keys() <= {argument.name for argument in macro.args}:
            raise Seeing("a macro with unknown arguments")
        for argument, kind in zip(macro.args, kinds, strict=False):
            self._raise_kind(argument.name, kind)
        for name, kind in keywords.items():
            self._raise_kind(name, kind)
        return self.macro_kinds[macro.name]
