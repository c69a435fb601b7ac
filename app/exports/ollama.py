"""Ollama's Modelfile: the chat template in Ollama's own language (Go's), for the families whose turns are known.

What is written is proven: dialogues rendered by the model's own template must be, to the letter, what the Modelfile says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Turn = Mapping[str, str]
# A dialogue as the model's template renders it, with what makes the model answer or without.
Render = Callable[[Sequence[Turn], bool], str]
# More than it says itself: a longer context takes memory from the start.
_LARGEST_CONTEXT: Final = 8192
_USER: Final = {"role": "user", "content": "What does it cost?"}
_PADDED: Final = {"role": "user", "content": "  What does it cost? "}
_ASSISTANT: Final = {"role": "assistant", "content": "Twelve."}
_SYSTEM: Final = {"role": "system", "content": "You sell plans."}


@dataclass(frozen=True)
class Family:
    """A turn is `start`, its role, `between`, its text, `end`; `roles` are called otherwise than elsewhere."""

    start: str
    between: str
    end: str
    roles: Mapping[str, str] = field(default_factory=dict)

    def text(self, turns: Sequence[Turn]) -> str:
        """Turns as the family writes them."""
        return "".join(
            f"{self.start}{self.roles.get(turn['role'], turn['role'])}{self.between}{turn['content']}{self.end}"
            for turn in turns
        )

    def go(self, generation: str) -> str:
        """The same in Go's language, with what makes the model answer."""
        role = "{{ .Role }}"
        for name, called in self.roles.items():
            role = f'{{{{ if eq .Role "{name}" }}}}{called}{{{{ else }}}}{role}{{{{ end }}}}'
        turn = f"{self.start}{role}{self.between}{{{{ .Content }}}}{self.end}"
        return f"{{{{- range .Messages }}}}{turn}{{{{ end }}}}{generation}"


_FAMILIES: Final = (
    Family("<|im_start|>", "\n", "<|im_end|>\n"),
    Family("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
    Family("<|", "|>\n", "<|end|>\n"),
    Family("<|", "|>\n", "</s>\n"),
    Family("<start_of_turn>", "\n", "<end_of_turn>\n", {"assistant": "model"}),
)


@dataclass(frozen=True)
class Modelfile:
    """`trims`: the chat template takes white space off the ends of what is said, for which Go's language has no word."""

    text: str
    trims: bool


def modelfile(file: str, render: Render, *, bos: str, end_of_turn: str, context: int) -> Modelfile | None:
    """For a GGUF file beside it; None where the chat template is of no known family, or where Ollama would read another one.

    `bos` is what the tokenizer puts before a text by itself (empty: nothing); `context` is in tokens.
    """
    for family in _FAMILIES:
        found = _system_of(family, render, bos)
        if found is None:
            continue
        system, generation = found
        if not _is_kept(system + generation):
            return None
        text = "\n".join(
            [
                f"FROM ./{file}",
                f'TEMPLATE """{family.go(generation)}"""',
                *([f'SYSTEM """{system}"""'] if system else []),
                f'PARAMETER stop "{end_of_turn}"',
                f"PARAMETER num_ctx {min(context, _LARGEST_CONTEXT)}",
                "PARAMETER temperature 0",
                "",
            ]
        )
        return Modelfile(text, trims=family.text([_PADDED]) not in render([_PADDED], True))
    return None


def _is_kept(text: str) -> bool:
    """Whether Ollama reads a text between its quotes as it stands: it drops what is not printable, such as a no-break space, an
    ideographic one, or what joins two signs.
    """
    printable = all(sign.isprintable() or sign in "\t\n\r" for sign in text)
    return printable and not any(mark in text for mark in ('"""', "{{"))


def _system_of(family: Family, render: Render, bos: str) -> tuple[str, str] | None:
    """What is said to the model where nobody says it, and what makes it answer; None where the family is another."""

    def asking(turns: Sequence[Turn]) -> str:
        return render(turns, True).removeprefix(bos)

    # What follows the turn makes the model answer: some templates end a text in another way where nobody is to answer.
    before, turn, generation = asking([_USER]).rpartition(family.text([_USER]))
    if not turn:
        return None
    mark, system = "\0", ""
    if before:
        start, _mark, end = family.text([{"role": "system", "content": mark}]).partition(mark)
        if not (before.startswith(start) and before.endswith(end) and len(before) > len(start) + len(end)):
            return None
        system = before[len(start) : len(before) - len(end)]
    default = [{"role": "system", "content": system}] if system else []
    dialogues = [[_USER], [_USER, _ASSISTANT, _USER], [_SYSTEM, _USER, _ASSISTANT, _USER]]
    for turns in dialogues:
        own = turns if turns[0] is _SYSTEM else [*default, *turns]
        try:
            written = asking(turns)
        except ValueError:
            # A template without system turns refuses them; so does the Modelfile's reader, by never having one.
            continue
        if written != family.text(own) + generation:
            return None
    return system, generation
