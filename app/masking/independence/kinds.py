"""What the expressions of a template may hold: nothing of the messages, message text, or more."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from jinja2 import nodes

from app.masking.independence.facts import TEXT_FIELD, Facts, Kind, NotProven
from app.masking.independence.outcomes import TYPE_TESTS, Outcomes

SAME_TEXT = frozenset({"trim", "string", "safe", "default", "d"})
TRIMMING = frozenset({"strip", "lstrip", "rstrip"})
CARRIER_FILTERS = frozenset({"list", "reverse", "first", "last", "selectattr", "rejectattr"})


class ExpressionKinds:
    """The kind of every expression, as far as the facts go; `outcomes` are those of tests inside expressions."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.outcomes = Outcomes(facts, self.of)

    def of(self, node: nodes.Node) -> Kind:
        """Raises NotProven."""
        if isinstance(node, nodes.Const | nodes.TemplateData):
            return Kind.CLEAN
        if isinstance(node, nodes.Name):
            return self._facts.kind_of(node.name)
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
            outcome = self.outcomes.of(node.test)
            first = Kind.CLEAN if outcome is False else self.of(node.expr1)
            return (
                first if outcome is True or node.expr2 is None else self._either(first, self.of(node.expr2))
            )
        if isinstance(node, nodes.And | nodes.Or):
            return self._either(self._kind_after_test(node.left), self._kind_after_test(node.right))
        if isinstance(node, nodes.Not | nodes.Compare | nodes.Test):
            self.outcomes.of(node) if not isinstance(node, nodes.Test) else self._plain_test(node)
            return Kind.CLEAN
        for child in node.iter_child_nodes():
            if self.of(child) is not Kind.CLEAN:
                raise NotProven(type(node).__name__)
        return Kind.CLEAN

    def _kind_after_test(self, node: nodes.Node) -> Kind:
        self.outcomes.of(node)
        return self.of(node)

    def _plain_test(self, node: nodes.Test) -> None:
        if node.name not in TYPE_TESTS:
            for child in node.iter_child_nodes():
                if self.of(child) is not Kind.CLEAN:
                    raise NotProven(f"the test {node.name}")
        else:
            self.of(node.node)

    @staticmethod
    def _either(first: Kind, second: Kind) -> Kind:
        if first is not second and Kind.CLEAN not in (first, second):
            raise NotProven("different things in one place")
        return max(first, second)

    def _attribute(self, owner: nodes.Node, attribute: str) -> Kind:
        if isinstance(owner, nodes.Name) and owner.name == "loop":
            return Kind.CARRIER if attribute in ("previtem", "nextitem") else Kind.CLEAN
        kind = self.of(owner)
        if kind is Kind.CARRIER:
            return Kind.TEXT if attribute == TEXT_FIELD else Kind.CLEAN
        if kind is not Kind.CLEAN:
            raise NotProven(f"the attribute {attribute} of a text")
        return (
            self._facts.names.get(f"{owner.name}.{attribute}", Kind.CLEAN)
            if isinstance(owner, nodes.Name)
            else kind
        )

    def _item(self, node: nodes.Getitem) -> Kind:
        kind = self.of(node.node)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._attribute(node.node, node.arg.value)
        if isinstance(node.arg, nodes.Slice):
            steps = [part for part in (node.arg.start, node.arg.stop, node.arg.step) if part is not None]
            if any(self.of(part) is not Kind.CLEAN for part in steps) or kind in (Kind.TEXT, Kind.PIECES):
                raise NotProven("cuts a text")
            return kind
        if self.of(node.arg) is not Kind.CLEAN:
            raise NotProven("looks something up by a text")
        if kind is Kind.TEXT:
            raise NotProven("takes a character of a text")
        if kind is Kind.PIECES:
            ends = isinstance(node.arg, nodes.Const | nodes.Neg) and node.arg.as_const() in (0, -1)
            if not ends:
                raise NotProven("takes a middle piece of a text")
            return Kind.TEXT
        return kind

    def _joined(self, node: nodes.Add | nodes.Concat) -> Kind:
        parts = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
        kinds = [self.of(part) for part in parts]
        if max(kinds) > Kind.TEXT:
            raise NotProven("joins whole messages")
        self._facts.joins_texts |= any(
            self._edge(left, last=True) and self._edge(right, last=False) for left, right in pairwise(parts)
        )
        return max(kinds)

    def _edge(self, node: nodes.Node, *, last: bool) -> bool:
        """Whether an expression's first or last part is text."""
        if isinstance(node, nodes.Concat):
            return self._edge(node.nodes[-1 if last else 0], last=last)
        if isinstance(node, nodes.Add):
            return self._edge(node.right if last else node.left, last=last)
        return self.of(node) is Kind.TEXT

    def _filtered(self, node: nodes.Filter) -> Kind:
        if node.node is None:
            raise NotProven("a filtered block")
        kind = self.of(node.node)
        arguments = [*node.args, *(pair.value for pair in node.kwargs)]
        if any(self.of(argument) is not Kind.CLEAN for argument in arguments):
            raise NotProven(f"gives a text to the filter {node.name}")
        if kind is Kind.CLEAN:
            return kind
        if kind is Kind.TEXT and node.name in SAME_TEXT and (node.name != "trim" or not arguments):
            return kind
        if kind is Kind.CARRIER and node.name in ("length", "count"):
            return Kind.CLEAN
        if kind is Kind.CARRIER and node.name in CARRIER_FILTERS and not self._names_the_field(arguments):
            return kind
        raise NotProven(f"the filter {node.name}")

    @staticmethod
    def _names_the_field(arguments: list[Any]) -> bool:
        return any(not isinstance(one, nodes.Const) or one.value == TEXT_FIELD for one in arguments)

    def _called(self, node: nodes.Call) -> Kind:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise NotProven("a call with unpacked arguments")
        if isinstance(node.node, nodes.Getattr):
            found = self._method(node, node.node)
            if found is not None:
                return found
        keywords = {pair.key: self.of(pair.value) for pair in node.kwargs}
        kinds = [self.of(argument) for argument in node.args]
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            if name in self._facts.macros:
                return self._macro_call(self._facts.macros[name], kinds, keywords)
            if name == "raise_exception":
                return Kind.CLEAN
            if name == "namespace" and not kinds:
                return self._namespace(keywords)
        if self.of(node.node) is not Kind.CLEAN or any(kinds) or any(keywords.values()):
            raise NotProven("gives a text to a function")
        return Kind.CLEAN

    def _namespace(self, keywords: Mapping[str, Kind]) -> Kind:
        if any(keywords.values()):
            raise NotProven("starts a namespace with a text")
        return Kind.CLEAN

    def _method(self, node: nodes.Call, called: nodes.Getattr) -> Kind | None:
        owner = self.of(called.node)
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
            raise NotProven("trims more than white space")
        if owner is Kind.TEXT and called.attr == "split" and len(node.args) == 1:
            self._facts.watch(node.args[0])
            return Kind.PIECES
        if owner is Kind.TEXT and self.outcomes.is_search(node):
            return Kind.CLEAN
        if owner is not Kind.CLEAN:
            raise NotProven(f"the method {called.attr}")
        return None

    def _macro_call(self, macro: nodes.Macro, kinds: list[Kind], keywords: Mapping[str, Kind]) -> Kind:
        if len(kinds) > len(macro.args):
            raise NotProven("a macro with more arguments than names")
        if not keywords.keys() <= {argument.name for argument in macro.args}:
            raise NotProven("a macro with unknown arguments")
        for argument, kind in zip(macro.args, kinds, strict=False):
            self._facts.raise_kind(argument.name, kind)
        for name, kind in keywords.items():
            self._facts.raise_kind(name, kind)
        return self._facts.macro_kinds[macro.name]
