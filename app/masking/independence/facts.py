"""What is known of a template's names while the proof walks it: a data flow that does not follow the order of
statements. Once a name may hold message text, it holds text everywhere.
"""

from enum import IntEnum

from jinja2 import nodes

TEXT_FIELD = "content"


class NotProven(Exception):
    """The proof does not go through; the message says at what."""


class Kind(IntEnum):
    """What an expression may hold: nothing of the messages, message text, pieces of text, or whole messages."""

    CLEAN = 0
    TEXT = 1
    PIECES = 2
    CARRIER = 3


class Facts:
    """What names and macros hold, and the words that tests look for in texts. `changed` says whether the last walk
    learnt something, so that another one is needed.
    """

    def __init__(self, tree: nodes.Template) -> None:
        self.names: dict[str, Kind] = {"messages": Kind.CARRIER}
        self.macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        self.macro_kinds: dict[str, Kind] = dict.fromkeys(self.macros, Kind.CLEAN)
        self.words: set[str] = set()
        self.compares_texts = False
        self.joins_texts = False
        # names that hold no text in the branch that is walked now, for it stands behind a test of their type
        self.not_text_here: list[str] = []
        self.changed = True

    def kind_of(self, name: str) -> Kind:
        """What a name may hold where the walk is."""
        return Kind.CLEAN if name in self.not_text_here else self.names.get(name, Kind.CLEAN)

    def raise_kind(self, name: str, kind: Kind) -> None:
        """A name may hold this too. Raises NotProven where it already holds something else."""
        if kind is not Kind.CLEAN and name in self.not_text_here:
            raise NotProven(f"{name} becomes text where it was not")
        if kind > self.names.get(name, Kind.CLEAN):
            if self.names.get(name, Kind.CLEAN) is not Kind.CLEAN:
                raise NotProven(f"{name} holds different things")
            self.names[name] = kind
            self.changed = True

    def raise_macro(self, name: str, written: Kind) -> None:
        """A macro may write this too."""
        if written > self.macro_kinds[name]:
            self.macro_kinds[name] = written
            self.changed = True

    def watch(self, node: nodes.Node) -> None:
        """The template looks for this in a text. Raises NotProven when it is not fixed."""
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            self.words.add(node.value)
        elif isinstance(node, nodes.Const) and node.value is None:
            return
        elif isinstance(node, nodes.Tuple | nodes.List):
            for item in node.items:
                self.watch(item)
        else:
            raise NotProven("searches a text for something that is not fixed")
