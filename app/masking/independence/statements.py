"""What the statements of a template write, and what they make its names hold."""

from collections.abc import Iterable

from jinja2 import nodes

from app.masking.independence.facts import Facts, Kind, NotProven
from app.masking.independence.kinds import ExpressionKinds


class StatementWalker:
    """Walks statements once and adds what they tell to the facts."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._kinds = ExpressionKinds(facts)

    def written_by(self, body: Iterable[nodes.Node]) -> Kind:
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
            self._assign(node.target, self._kinds.of(node.node))
            return Kind.CLEAN
        if isinstance(node, nodes.AssignBlock):
            if node.filter is not None:
                raise NotProven("a filtered block")
            self._assign(node.target, self.written_by(node.body))
            return Kind.CLEAN
        if isinstance(node, nodes.Macro):
            return self._macro(node)
        if isinstance(node, nodes.CallBlock) and self._is_generation(node):
            return self.written_by(node.body)
        if isinstance(node, nodes.ExprStmt):
            self._kinds.of(node.node)
            return Kind.CLEAN
        if isinstance(node, nodes.Break | nodes.Continue):
            return Kind.CLEAN
        raise NotProven(type(node).__name__)

    @staticmethod
    def _is_generation(node: nodes.CallBlock) -> bool:
        return isinstance(node.call.node, nodes.ExtensionAttribute) and not node.args

    def _output(self, node: nodes.Output) -> Kind:
        written = Kind.CLEAN
        for piece in node.nodes:
            if isinstance(piece, nodes.TemplateData):
                continue
            kind = self._kinds.of(piece)
            if kind > Kind.TEXT:
                raise NotProven("writes whole messages")
            written = max(written, kind)
        return written

    def _if(self, node: nodes.If) -> Kind:
        """Branches that no ordinary message reaches are left out; after `x is string`,
        x holds no text elsewhere.
        """
        written = Kind.CLEAN
        depth = len(self._facts.not_text_here)
        try:
            for branch in (node, *node.elif_):
                outcome = self._kinds.outcomes.of(branch.test)
                string, negated = self._string_test(branch.test)
                if outcome is not False:
                    if string is not None and negated:
                        self._facts.not_text_here.append(string)
                    written = max(written, self.written_by(branch.body))
                    if string is not None and negated:
                        self._facts.not_text_here.pop()
                if outcome is True:
                    return written
                if string is not None and not negated:
                    self._facts.not_text_here.append(string)
            return max(written, self.written_by(node.else_))
        finally:
            del self._facts.not_text_here[depth:]

    def _string_test(self, node: nodes.Node) -> tuple[str | None, bool]:
        """The name that is asked whether it is a string, and whether the question is negated."""
        if isinstance(node, nodes.Not):
            name, negated = self._string_test(node.node)
            return name, not negated
        if isinstance(node, nodes.Test) and node.name == "string" and isinstance(node.node, nodes.Name):
            name = node.node.name
            return (name, False) if self._facts.names.get(name) is Kind.TEXT else (None, False)
        return None, False

    def _for(self, node: nodes.For) -> Kind:
        kind = self._kinds.of(node.iter)
        if kind is Kind.TEXT:
            raise NotProven("walks over the characters of a text")
        item = Kind.TEXT if kind is Kind.PIECES else kind
        if not isinstance(node.target, nodes.Name) and item is not Kind.CLEAN:
            raise NotProven("takes messages apart")
        self._assign(node.target, item)
        if node.test is not None:
            self._kinds.outcomes.of(node.test)
        return max(self.written_by(node.body), self.written_by(node.else_))

    def _macro(self, node: nodes.Macro) -> Kind:
        for argument, default in zip(
            node.args[len(node.args) - len(node.defaults) :], node.defaults, strict=True
        ):
            self._facts.raise_kind(argument.name, self._kinds.of(default))
        written = self.written_by(node.body)
        self._facts.raise_macro(node.name, written)
        return Kind.CLEAN

    def _assign(self, target: nodes.Node, kind: Kind) -> None:
        if isinstance(target, nodes.Name):
            self._facts.raise_kind(target.name, kind)
        elif isinstance(target, nodes.NSRef):
            self._facts.raise_kind(f"{target.name}.{target.attr}", kind)
        elif kind is not Kind.CLEAN:
            raise NotProven("takes messages apart")
