"""Which tests of a template have the same outcome for every ordinary text."""

from collections.abc import Callable, Mapping

from jinja2 import nodes

from app.dialogue.roles import Role
from app.masking.independence.facts import TEXT_FIELD, Facts, Kind, NotProven

FIELDS = ("role", "content")
# What every template may be asked about; tools it may not know.
_ASKED_ROLES = (Role.SYSTEM, Role.USER, Role.ASSISTANT)
SEARCHING = frozenset({"startswith", "endswith"})
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


class Outcomes:
    """Outcomes of tests: known, decided by other things than text, or not understood (NotProven)."""

    def __init__(self, facts: Facts, kind_of: Callable[[nodes.Node], Kind]) -> None:
        self._facts = facts
        self._kind = kind_of

    def of(self, node: nodes.Node) -> bool | None:
        """True or False when known for every ordinary text, None when decided by other things. Raises NotProven."""
        if isinstance(node, nodes.Not):
            outcome = self.of(node.node)
            return None if outcome is None else not outcome
        if isinstance(node, nodes.And | nodes.Or):
            return self._both(node)
        if isinstance(node, nodes.Test) and node.name in TYPE_TESTS and not node.args:
            return self._type_test(node)
        if isinstance(node, nodes.Compare):
            self._compare(node)
            return self._known_comparison(node)
        if isinstance(node, nodes.Call) and self.is_search(node):
            return None
        if (key := self._key_of_message(node)) is not None and key not in FIELDS:
            return False
        kind = self._kind(node)
        if kind is Kind.PIECES:
            raise NotProven("tests pieces of a text")
        return None  # an ordinary text is never blank, so its truth is the same everywhere

    def _both(self, node: nodes.And | nodes.Or) -> bool | None:
        decisive = isinstance(node, nodes.Or)
        left = self.of(node.left)
        if left is decisive:
            return left
        right = self.of(node.right)
        if left is None:
            return right if right is decisive else None
        return right

    def _type_test(self, node: nodes.Test) -> bool | None:
        # only an access to the field itself is surely text; a name may hold other things at other times
        direct = self._kind(node.node) is Kind.TEXT and self._is_field(node.node)
        return TYPE_TESTS[node.name] if direct else None

    def _key_of_message(self, node: nodes.Node) -> str | None:
        """The fixed key by which something is read from a message."""
        if isinstance(node, nodes.Getattr) and self._kind(node.node) is Kind.CARRIER:
            return None if isinstance(node.node, nodes.Name) and node.node.name == "loop" else str(node.attr)
        if (
            isinstance(node, nodes.Getitem)
            and isinstance(node.arg, nodes.Const)
            and isinstance(node.arg.value, str)
        ):
            return node.arg.value if self._kind(node.node) is Kind.CARRIER else None
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr == "get":
            key = node.args[0] if len(node.args) == 1 else None
            if isinstance(key, nodes.Const) and self._kind(node.node.node) is Kind.CARRIER:
                return str(key.value)
        return None

    def _known_comparison(self, node: nodes.Compare) -> bool | None:
        """Comparisons decided by what every message here is: a role of three, a content, and nothing else."""
        if len(node.ops) != 1:
            return None
        left, operator, right = node.expr, node.ops[0].op, node.ops[0].expr
        if (
            operator in ("in", "notin")
            and isinstance(left, nodes.Const)
            and self._kind(right) is Kind.CARRIER
        ):
            return None if left.value in FIELDS else operator == "notin"
        if self._key_of_message(left) != "role":
            return None
        asked = [right] if operator in ("eq", "ne") else getattr(right, "items", None)
        if operator not in ("eq", "ne", "in", "notin") or not asked:
            return None
        if all(isinstance(one, nodes.Const) and one.value not in _ASKED_ROLES for one in asked):
            return operator in ("ne", "notin")
        return None

    def _is_field(self, node: nodes.Node) -> bool:
        if isinstance(node, nodes.Getattr):
            return node.attr == TEXT_FIELD and self._kind(node.node) is Kind.CARRIER
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            return bool(node.arg.value == TEXT_FIELD) and self._kind(node.node) is Kind.CARRIER
        return False

    def _compare(self, node: nodes.Compare) -> None:
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        kinds = [self._kind_or_length(side) for side in sides]
        if max(kinds) is Kind.CLEAN:
            return
        if len(sides) != 2 or Kind.PIECES in kinds:
            raise NotProven("a comparison of texts that is not understood")
        operator = node.ops[0].op
        if self._is_membership_of_carrier(node, operator, kinds) or self._is_length_against_zero(node):
            return
        if Kind.CARRIER in kinds:
            raise NotProven("compares whole messages")
        if operator in ("in", "notin") and kinds[0] is Kind.CLEAN:
            self._facts.watch(node.expr)
        elif operator in ("eq", "ne") and Kind.CLEAN in kinds:
            self._facts.watch(sides[kinds.index(Kind.CLEAN)])
        elif operator in ("eq", "ne"):
            self._facts.compares_texts = True
        else:
            raise NotProven(f"compares texts by {operator}")

    @staticmethod
    def _is_membership_of_carrier(node: nodes.Compare, operator: str, kinds: list[Kind]) -> bool:
        return operator in ("in", "notin") and isinstance(node.expr, nodes.Const) and kinds[1] is Kind.CARRIER

    def _kind_or_length(self, node: nodes.Node) -> Kind:
        if isinstance(node, nodes.Filter) and node.name in ("length", "count") and node.node is not None:
            return self._kind(node.node) if self._kind(node.node) is Kind.TEXT else Kind.CLEAN
        return self._kind(node)

    def _is_length_against_zero(self, node: nodes.Compare) -> bool:
        expression, other = node.expr, node.ops[0].expr
        is_length = isinstance(expression, nodes.Filter) and expression.name in ("length", "count")
        zero = isinstance(other, nodes.Const) and other.value == 0
        if is_length and not zero:
            raise NotProven("compares the length of a text")
        return is_length and zero

    def is_search(self, node: nodes.Call) -> bool:
        """Whether a call asks how a text begins or ends; what it asks for is watched."""
        called = node.node
        if not isinstance(called, nodes.Getattr) or called.attr not in SEARCHING:
            return False
        if self._kind(called.node) is not Kind.TEXT:
            return False
        for argument in node.args:
            self._facts.watch(argument)
        return True
