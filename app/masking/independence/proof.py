"""Proves that a template's structure cannot depend on what ordinary messages say.

A template is blind when message text only flows into its output, through joining, trimming, and tests whose
outcome is the same for every ordinary text. An ordinary text is not blank and touches none of the template's
watch words. Then one located conversation tells where everything lies in every other with the same roles.
Anything not understood here makes the template "seeing", which only costs speed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import jinja2
from jinja2 import nodes

from app.masking.independence.dataflow import Kind, Seeing
from app.masking.independence.outcomes import Outcomes
from app.masking.templates.environment import build_environment

MOST_COMPARISONS = 10_000_000


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
        stripped = text.strip()
        if not stripped:
            return False
        for word in self.watch_words:
            if word in text or stripped in word:
                return False
        return not (stripped.startswith(self.forbidden_starts) or stripped.endswith(self.forbidden_ends))


def prove_blindness(source: str) -> Blindness | None:
    """None when the template may look at the text of messages in a way not understood here."""
    try:
        tree = build_environment().parse(source)
        return BlindnessProof(tree).result()
    except (Seeing, jinja2.TemplateError, ValueError, RecursionError):
        return None


class BlindnessProof(Outcomes):
    """Walks a template's statements until nothing new is learnt about its names."""

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
        if sum(len(word) ** 2 for word in words) * len(constants) > MOST_COMPARISONS:
            raise Seeing("too much to compare")
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
        """Branches that no ordinary message reaches are left out; after `x is string`,
        x holds no text elsewhere.
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
