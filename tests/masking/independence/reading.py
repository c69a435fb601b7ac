"""Expressions and statements of templates as the proof reads them."""

from jinja2 import nodes

from app.masking.independence.facts import Facts
from app.masking.templates.environment import build_environment


def parsed(source: str) -> nodes.Template:
    return build_environment().parse(source)


def expression(text: str) -> tuple[Facts, nodes.Expr]:
    """The facts of a template that writes this expression, and the expression."""
    tree = parsed("{{ " + text + " }}")
    (output,) = tree.body
    assert isinstance(output, nodes.Output)
    return Facts(tree), output.nodes[0]
