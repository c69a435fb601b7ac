"""Proves that a template's structure cannot depend on what ordinary messages say.

A template is independent of texts when message text only flows into its output, through joining, trimming, and
tests whose outcome is the same for every ordinary text. An ordinary text is not blank and touches none of the
template's watch words. Then one located conversation tells where everything lies in every other with the same roles.
Where the proof does not go through, as with anything that is not understood here, it only costs speed.
"""

from dataclasses import dataclass

import jinja2
from jinja2 import nodes

from app.masking.independence.facts import Facts, NotProven
from app.masking.independence.statements import StatementWalker
from app.masking.templates.environment import build_environment

MOST_COMPARISONS = 10_000_000
_MOST_WALKS = 64


@dataclass(frozen=True)
class Independence:
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


def prove_independence(source: str) -> Independence | None:
    """None when the template may look at the text of messages in a way not understood here."""
    try:
        tree = build_environment().parse(source)
        return _independence(tree)
    except (NotProven, jinja2.TemplateError, ValueError, RecursionError):
        return None


def _independence(tree: nodes.Template) -> Independence:
    facts = _facts_of(tree)
    words = {word for word in facts.words if word.strip()}
    if words and facts.joins_texts:
        raise NotProven("joins texts that it also searches")
    constants = [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    constants += [node.data for node in tree.find_all(nodes.TemplateData)]
    if sum(len(word) ** 2 for word in words) * len(constants) > MOST_COMPARISONS:
        raise NotProven("too much to compare")
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
    return Independence(
        tuple(sorted(words)), tuple(sorted(starts)), tuple(sorted(ends)), facts.compares_texts
    )


def _facts_of(tree: nodes.Template) -> Facts:
    """Walks the template until nothing new is learnt about its names."""
    facts = Facts(tree)
    walker = StatementWalker(facts)
    for _ in range(_MOST_WALKS):
        if not facts.changed:
            return facts
        facts.changed = False
        walker.written_by(tree.body)
    raise NotProven("no fixpoint")
