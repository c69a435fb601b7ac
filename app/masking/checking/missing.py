"""The ninth check: whatever the trained turns hold stands in the rendering; and in a line what does not."""

from collections.abc import Iterable, Sequence
from typing import Final

from app.masking.checking.check import CARRIED, Check, failed, passed
from app.masking.samples.sample import MaskedSample, Missing
from app.masking.turns.layout import HeldField
from app.sentences import N_

_NAMES: Final = {
    HeldField.WORDS: "content",
    HeldField.NAME: "name",
    HeldField.REASONING: "reasoning_content",
    HeldField.CALL: "tool_calls",
    HeldField.ARGUMENT: "tool_calls",
    HeldField.TOOL: "tools",
}
_LONGEST, _MOST = 60, 8
_LEFT_OUT: Final = N_(
    "The template leaves out what is to be trained, by turn: %(left_out)s. Take a base model whose template writes it, "
    "take it out of these turns, or leave them untrained."
)
_REASONING: Final = N_(
    "The template leaves out thinking that is to be trained, by turn: %(left_out)s. Take a base model whose template "
    "writes it, choose “Context only” under “Thinking”, or leave these turns untrained."
)
_EARLIER: Final = N_(
    "The template writes some things in the last turn only, and leaves out what is to be trained before, by turn: "
    "%(left_out)s. Use one sample per assistant turn, choose “Context only” under “Thinking” where it is thinking, or "
    "leave these turns untrained."
)
_TOOLS: Final = N_(
    "Trained turns call tools that the template does not describe to the model, or not fully: %(left_out)s. Take a base "
    "model whose template writes tools, or describe them in the system message and take them out of the conversation."
)


def carried(sample: MaskedSample) -> Check:
    """9. Whatever the trained turns hold is in the rendering where it belongs."""
    numbers = sample.part.numbers
    faults = [one for one in sample.missing if one.is_fault]
    if faults:
        left_out = said_missing(faults, numbers)
        return failed(CARRIED, _sentence_of(faults), _place_of(faults, sample), left_out=left_out)
    if sample.missing:
        return passed(
            CARRIED,
            N_(
                "The trained turns are written whole. Left out of the context, or as the settings say, by turn: "
                "%(left_out)s."
            ),
            left_out=said_missing(sample.missing, numbers),
        )
    return passed(CARRIED, N_("The template writes everything that the turns hold."))


def _sentence_of(faults: Sequence[Missing]) -> str:
    if all(one.what.message is None for one in faults):
        return _TOOLS
    if all(one.what.shown_last for one in faults):
        return _EARLIER
    return _REASONING if all(one.what.field is HeldField.REASONING for one in faults) else _LEFT_OUT


def _place_of(faults: Sequence[Missing], sample: MaskedSample) -> int | None:
    """The first token of the first of these turns, where it is kept."""
    starts = {turn.message: turn.start for turn in sample.layout.turns}
    starts |= {region.message: region.start for region in sample.layout.regions}
    for one in faults:
        if one.what.message in starts:
            token = int(sample.encoded.starts.searchsorted(starts[one.what.message]))
            return token if token < len(sample.input_ids) else None
    return None


def said_missing(missing: Iterable[Missing], numbers: Sequence[int]) -> str:
    """As in `2: tool_calls price(of), reasoning_content “Is it …”; tools: price`; `numbers` are the sample's turns."""
    by_turn: dict[str, list[str]] = {}
    for one in missing:
        what, name = one.what, _NAMES[one.what.field]
        if what.message is None:
            by_turn.setdefault(name, []).append(_short(what.text))
        else:
            quoted = what.field in (HeldField.WORDS, HeldField.REASONING)
            text = f"“{_short(what.text)}”" if quoted else _short(what.text)
            by_turn.setdefault(str(numbers[what.message] + 1), []).append(f"{name} {text}")
    said = [f"{turn}: {', '.join(listed)}" for turn, listed in by_turn.items()]
    return "; ".join([*said[:_MOST], "…"] if len(said) > _MOST else said)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
