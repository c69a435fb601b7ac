"""Proves that a template's structure cannot depend on what ordinary messages say.

A template is blind when message text only flows into its output, through joining, trimming, and tests whose
outcome is
the same for every ordinary text. An ordinary text is not blank and touches none of the template's watch
words. Then
one located conversation tells where everything lies in every other with the same roles. Anything not
understood here
makes the template "seeing", which only costs speed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import jinja2
from jinja2 import nodes

from app.masking.templates import build_environment

_TEXT_FIELD = "content"
_FIELDS = ("role", "content")
_ROLES = ("system", "user", "assistant")
_SAME_TEXT = frozenset({"trim", "string", "safe", "default", "d"})
_TRIMMING = frozenset({"strip", "lstrip", "rstrip"})
_SEARCHING = frozenset({"startswith", "endswith"})
_CARRIER_FILTERS = frozenset({"list", "reverse", "first", "last", "selectattr", "rejectattr"})
_TYPE_TESTS: Mapping[str, bool] = {
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
    """What an expression may hold: nothing of the messages, message text, pieces of text, or whole
    messages.
    """

    CLEAN = 0
    TEXT = 1
    PIECES = 2
    CARRIER = 3


@dataclass(frozen=True)
class Blindness:
    """Under which conditions texts cannot steer the template.

    It holds for messages with a role (system, user or assistant) and a content, and nothing else.
    """

    watch_words: tuple[str, ...]
    forbidden_starts: tuple[str, ...]
    forbidden_ends: tuple[str, ...]
    needs_distinct_texts: bool

    def is_ordinary(self, text: str) -> bool:
        """True when the template treats `text` like every other ordinary text."""
        if not text or text.isspace():
            return False
        for word in self.watch_words:
            if word in text or text.strip() in word:
                return False
        stripped = text.strip()
        return not (stripped.startswith(self.forbidden_starts) or stripped.endswith(self.forbidden_ends))


def prove_blindness(source: str) -> Blindness | None:
    """None when the template may look at the text of messages in a way not understood here."""
    try:
        tree = build_environment().parse(source)
        return _Proof(tree).result()
    except (Seeing, jinja2.TemplateError, RecursionError):
        return None


class _Proof:
    """A flow-insensitive data flow over names: once a name may hold text, it holds text everywhere."""

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

    def result(self) -> Blindness:
        for _ in range(64):
            if not self.changed:
                break
            self.changed = False
            self._body(self.tree.body)
        else:
            raise Seeing("no fixpoint")
        words = {word for word in self.words if word.strip()}
        if words and self.joins_texts:
            raise Seeing("joins texts that it also searches")
        constants = [node.value for node in self.tree.find_all(nodes.Const) if isinstance(node.value, str)]
        constants += [node.data for node in self.tree.find_all(nodes.TemplateData)]
        starts = {
            word[cut:]
            for word in words
            for cut in range(1, len(word))
            if any(constant.rstrip().endswith(word[:cut].rstrip() or word[:cut]) for constant in constants)
        }
        ends = {
            word[:cut]
            for word in words
            for cut in range(1, len(word))
            if any(constant.lstrip().startswith(word[cut:].lstrip() or word[cut:]) for constant in constants)
        }
        return Blindness(
            tuple(sorted(words)), tuple(sorted(starts)), tuple(sorted(ends)), self.compares_texts
        )

    # -- statements ----------------------------------------------------------------------------------------

    def _body(self, body: Iterable[nodes.Node]) -> Kind:
        """The kind of what the statements write."""
        written = Kind.CLEAN
        for node in body:
            written = max(written, self._statement(node))
        return written

    def _statement(self, node: nodes.Node) -> Kind:
        if isinstance(node, nodes.Output):
            return self._output(node)
        if isinstance(node, nodes.If):
            return self._if(node)
        if isinstance(node, nodes.For):
            return self._for(node)
        if isinstance(node, nodes.Assign):
            self._assign(node.target, self._kind(node.node))
            return Kind.CLEAN
        if isinstance(node, nodes.AssignBlock):
            if node.filter is not None:
                raise Seeing("a filtered block")
            self._assign(node.target, self._body(node.body))
            return Kind.CLEAN
        if isinstance(node, nodes.Macro):
            return self._macro(node)
        if isinstance(node, nodes.CallBlock) and self._is_generation(node):
            return self._body(node.body)
        if isinstance(node, nodes.ExprStmt):
            self._kind(node.node)
            return Kind.CLEAN
        if isinstance(node, nodes.Break | nodes.Continue):
            return Kind.CLEAN
        raise Seeing(type(node).__name__)

    @staticmethod
    def _is_generation(node: nodes.CallBlock) -> bool:
        return isinstance(node.call.node, nodes.ExtensionAttribute) and not node.args

    def _output(self, node: nodes.Output) -> Kind:
        written = Kind.CLEAN
        for piece in node.nodes:
            if isinstance(piece, nodes.TemplateData):
                continue
            kind = self._kind(piece)
            if kind > Kind.TEXT:
                raise Seeing("writes whole messages")
            written = max(written, kind)
        return written

    def _if(self, node: nodes.If) -> Kind:
        """Branches that no ordinary message reaches are left out; after `x is string`, x holds no text
        elsewhere.
        """
        written = Kind.CLEAN
        depth = len(self.not_text_here)
        try:
            for branch in (node, *node.elif_):
                outcome = self._test(branch.test)
                string, negated = self._string_test(branch.test)
                if outcome is not False:
                    if string is not None and negated:
                        self.not_text_here.append(string)
                    written = max(written, self._body(branch.body))
                    if string is not None and negated:
                        self.not_text_here.pop()
                if outcome is True:
                    return written
                if string is not None and not negated:
                    self.not_text_here.append(string)
            return max(written, self._body(node.else_))
        finally:
            del self.not_text_here[depth:]

    def _string_test(self, node: nodes.Node) -> tuple[str | None, bool]:
        """The name that is asked whether it is a string, and whether the question is negated."""
        if isinstance(node, nodes.Not):
            name, negated = self._string_test(node.node)
            return name, not negated
        if isinstance(node, nodes.Test) and node.name == "string" and isinstance(node.node, nodes.Name):
            name = node.node.name
            return (name, False) if self.names.get(name) is Kind.TEXT else (None, False)
        return None, False

    def _for(self, node: nodes.For) -> Kind:
        kind = self._kind(node.iter)
        if kind is Kind.TEXT:
            raise Seeing("walks over the characters of a text")
        item = Kind.TEXT if kind is Kind.PIECES else kind
        if not isinstance(node.target, nodes.Name) and item is not Kind.CLEAN:
            raise Seeing("takes messages apart")
        self._assign(node.target, item)
        if node.test is not None:
            self._test(node.test)
        return max(self._body(node.body), self._body(node.else_))

    def _macro(self, node: nodes.Macro) -> Kind:
        for argument, default in zip(
            node.args[len(node.args) - len(node.defaults) :], node.defaults, strict=True
        ):
            self._raise_kind(argument.name, self._kind(default))
        written = self._body(node.body)
        if written > self.macro_kinds[node.name]:
            self.macro_kinds[node.name] = written
            self.changed = True
        return Kind.CLEAN

    def _assign(self, target: nodes.Node, kind: Kind) -> None:
        if isinstance(target, nodes.Name):
            self._raise_kind(target.name, kind)
        elif isinstance(target, nodes.NSRef):
            self._raise_kind(f"{target.name}.{target.attr}", kind)
        elif kind is not Kind.CLEAN:
            raise Seeing("takes messages apart")

    def _raise_kind(self, name: str, kind: Kind) -> None:
        if kind is not Kind.CLEAN and name in self.not_text_here:
            raise Seeing(f"{name} becomes text where it was not")
        if kind > self.names.get(name, Kind.CLEAN):
            if self.names.get(name, Kind.CLEAN) is not Kind.CLEAN:
                raise Seeing(f"{name} holds different things")
            self.names[name] = kind
            self.changed = True

    # -- tests ---------------------------------------------------------------------------------------------

    def _test(self, node: nodes.Node) -> bool | None:
        """True or False when known for every ordinary text, None when decided by other things. Raises
        Seeing.
        """
        if isinstance(node, nodes.Not):
            outcome = self._test(node.node)
            return None if outcome is None else not outcome
        if isinstance(node, nodes.And | nodes.Or):
            return self._both(node)
        if isinstance(node, nodes.Test) and node.name in _TYPE_TESTS and not node.args:
            return self._type_test(node)
        if isinstance(node, nodes.Compare):
            self._compare(node)
            return self._known_comparison(node)
        if isinstance(node, nodes.Call) and self._searches(node):
            return None
        if (key := self._key_of_message(node)) is not None and key not in _FIELDS:
            return False
        kind = self._kind(node)
        if kind is Kind.PIECES:
            raise Seeing("tests pieces of a text")
        return None  # an ordinary text is never blank, so its truth is the same everywhere

    def _both(self, node: nodes.And | nodes.Or) -> bool | None:
        decisive = isinstance(node, nodes.Or)
        left = self._test(node.left)
        if left is decisive:
            return left
        right = self._test(node.right)
        if left is None:
            return right if right is decisive else None
        return right

    def _type_test(self, node: nodes.Test) -> bool | None:
        # only an access to the field itself is surely text; a name may hold other things at other times
        direct = self._kind(node.node) is Kind.TEXT and self._is_field(node.node)
        return _TYPE_TESTS[node.name] if direct else None

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
            return None if left.value in _FIELDS else operator == "notin"
        if self._key_of_message(left) != "role":
            return None
        asked = [right] if operator in ("eq", "ne") else getattr(right, "items", None)
        if operator not in ("eq", "ne", "in", "notin") or not asked:
            return None
        if all(isinstance(one, nodes.Const) and one.value not in _ROLES for one in asked):
            return operator in ("ne", "notin")
        return None

    def _is_field(self, node: nodes.Node) -> bool:
        if isinstance(node, nodes.Getattr):
            return node.attr == _TEXT_FIELD and self._kind(node.node) is Kind.CARRIER
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            return bool(node.arg.value == _TEXT_FIELD) and self._kind(node.node) is Kind.CARRIER
        return False

    def _compare(self, node: nodes.Compare) -> None:
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        kinds = [self._kind_or_length(side) for side in sides]
        if max(kinds) is Kind.CLEAN:
            return
        if len(sides) != 2 or Kind.PIECES in kinds:
            raise Seeing("a comparison of texts that is not understood")
        operator = node.ops[0].op
        if self._is_membership_of_carrier(node, operator, kinds) or self._is_length_against_zero(node):
            return
        if Kind.CARRIER in kinds:
            raise Seeing("compares whole messages")
        if operator in ("in", "notin") and kinds[0] is Kind.CLEAN:
            self._watch(node.expr)
        elif operator in ("eq", "ne") and Kind.CLEAN in kinds:
            self._watch(sides[kinds.index(Kind.CLEAN)])
        elif operator in ("eq", "ne"):
            self.compares_texts = True
        else:
            raise Seeing(f"compares texts by {operator}")

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
            raise Seeing("compares the length of a text")
        return is_length and zero

    def _searches(self, node: nodes.Call) -> bool:
        called = node.node
        if not isinstance(called, nodes.Getattr) or called.attr not in _SEARCHING:
            return False
        if self._kind(called.node) is not Kind.TEXT:
            return False
        for argument in node.args:
            self._watch(argument)
        return True

    def _watch(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            self.words.add(node.value)
        elif isinstance(node, nodes.Const) and node.value is None:
            return
        elif isinstance(node, nodes.Tuple | nodes.List):
            for item in node.items:
                self._watch(item)
        else:
            raise Seeing("searches a text for something that is not fixed")

    # -- expressions ---------------------------------------------------------------------------------------

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
        if node.name not in _TYPE_TESTS:
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
            return Kind.TEXT if attribute == _TEXT_FIELD else Kind.CLEAN
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
        if kind is Kind.TEXT and node.name in _SAME_TEXT and (node.name != "trim" or not arguments):
            return kind
        if kind is Kind.CARRIER and node.name in ("length", "count"):
            return Kind.CLEAN
        if kind is Kind.CARRIER and node.name in _CARRIER_FILTERS and not self._names_the_field(arguments):
            return kind
        raise Seeing(f"the filter {node.name}")

    @staticmethod
    def _names_the_field(arguments: list[Any]) -> bool:
        return any(not isinstance(one, nodes.Const) or one.value == _TEXT_FIELD for one in arguments)

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
        if owner is Kind.TEXT and called.attr in _TRIMMING:
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
