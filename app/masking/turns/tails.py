"""What stands behind a turn's text and surely belongs to the turn.

A rendering goes on behind an answer with the end of the turn, and at once with the header of the next message. Where
the one is over and the other begins is told by other renderings: of the conversation that stops with this turn, of
the one that waits for the next answer, of a plain answer alone. What they agree on is the turn's.
"""

from app.masking.turns.borders import Borders
from app.masking.turns.comparison import Comparison
from app.masking.turns.end_tokens import Behind, EndTokens
from app.masking.turns.probes import Probes
from app.masking.turns.renderings import Marked, Renderings
from app.sentences import N_

_NOT_ALONE = N_(
    "The chat template %(template)s cannot render the conversation up to turn %(turn)d alone, so where the turn "
    "ends cannot be proven; leave this turn untrained."
)
_DIFFERS = N_(
    "The chat template %(template)s writes turn %(turn)d otherwise when it is the last one, so where it ends "
    "cannot be proven; use one sample per assistant turn, or leave this turn untrained."
)


class Tails:
    """Raises MaskRefused naming the turn where nothing tells."""

    def __init__(
        self,
        renderings: Renderings,
        borders: Borders,
        probes: Probes,
        comparison: Comparison,
        tokens: EndTokens,
    ) -> None:
        self._renderings = renderings
        self._borders = borders
        self._probes = probes
        self._comparison = comparison
        self._tokens = tokens

    def find(self, behind: Behind) -> str:
        """The beginning of `behind.text` that is the turn's: the shortest of those that hold a marker, for each is
        known to be too long at most.
        """
        stopped = self._rest(behind, generation=False)
        going_on = self._rest(behind, generation=True)
        known = self._told_by(behind, stopped, going_on)
        tails = [tail for tail in known if tail is not None]
        if behind.is_last and not self._is_unsure(behind, going_on):
            tails += self._of_the_last(behind)
        elif not tails:
            tails += self._without_evidence(behind)
        if not tails:
            raise self._renderings.refusal(_DIFFERS if known else _NOT_ALONE, behind.place)
        if not behind.is_last and not any(tail.strip() for tail in tails):
            tails.append(self._before_next_header(behind.place, behind.text))
        tails = [tail for tail in tails if tail.strip()]
        return min(
            (tail for tail in tails if self._comparison.markers.search(tail)),
            key=len,
            default=tails[0] if tails else "",
        )

    def _told_by(self, behind: Behind, stopped: str | None, going_on: str | None) -> list[str | None]:
        """What the conversation that stops with this turn, and the one that waits for the next answer, have in
        common with this one; None for one that goes on otherwise in the middle of the turn, and so says nothing.
        """
        if going_on is not None and (prompt := self._prompt_after(behind.place, going_on)):
            going_on = going_on[: len(going_on) - len(prompt)]
        found = []
        if stopped is not None and not behind.is_last:
            found.append(self._agreed(behind, stopped, spaced=True))
        if going_on is not None:
            # unless it only repeats the other, some of a prompt may be left in it
            found.append(self._agreed(behind, going_on, spaced=going_on == stopped))
        return found

    def _agreed(self, behind: Behind, other: str, *, spaced: bool) -> str | None:
        """What both begin with. With `spaced` white space before a marker that both write next may differ.

        As in: templates that write a line break before the end of turn only while the conversation goes on.
        """
        text = behind.text
        here = there = self._comparison.shared(text, other)
        while spaced and (found := self._comparison.same_marker(text[here:], other[there:])) is not None:
            here, there = here + found[0], there + found[1]
            more = self._comparison.shared(text[here:], other[there:])
            here, there = here + more, there + more
        return self._up_to_where_they_part(behind, here, other[there:])

    def _up_to_where_they_part(self, behind: Behind, here: int, rest: str) -> str | None:
        """As much as a rendering that goes on with `rest` tells, when both say the same up to `here`.

        As in: gpt-oss ends a last answer with `<|return|>` and others with `<|end|>`: each in its own way.
        """
        agreed, own = behind.text[:here], behind.text[here:]
        parted = all(self._comparison.markers.match(way.lstrip()) for way in (rest, own))
        if parted and not behind.is_last:
            return agreed + self._before_next_header(behind.place, own)
        return agreed if not rest.strip() or self._is_over(agreed, calls=behind.calls) else None

    def _is_over(self, agreed: str, *, calls: bool) -> bool:
        """Whether a turn may well be over behind this, whatever comes then: at its text, at a marker; at a call only
        behind a marker that ends turns, for what closes the call is one too.

        As in: Gemma 4, which writes nothing between two answers in a row.
        """
        said = agreed.rstrip()
        last = [match for match in self._comparison.markers.finditer(said) if match.end() == len(said)]
        if calls:
            return any(self._tokens.ends_turns(match.group()) for match in last)
        return bool(last) or not said

    def _is_unsure(self, behind: Behind, going_on: str | None) -> bool:
        """Whether nothing tells how much behind the last turn is the turn's, although there is a choice.

        As in: templates that hide a call which is the last message when they are asked for a prompt.
        """
        return going_on is None and len(self._comparison.markers.findall(behind.text)) > 1

    def _of_the_last(self, behind: Behind) -> list[str]:
        """Behind the last turn everything is the turn's, but for a header that is always written; and what ends a
        plain answer ends this one, where it begins so.

        As in: Phi-3, which writes `<|endoftext|>` behind the last `<|end|>`.
        """
        whole = self._without_standing_prompt(behind.text)
        plain = self._probes.answer_tail
        return [whole, plain] if behind.text.startswith(plain) else [whole]

    def _without_evidence(self, behind: Behind) -> list[str]:
        """What ends a plain answer, else up to the only token that generation stops at.

        As in: templates that write a call otherwise while it is the last message, and `<|im_end|>` behind both.
        """
        plain = self._probes.answer_tail
        if plain.strip() and behind.text.startswith(plain):
            return [plain]
        stop = self._tokens.sole_stop(behind)
        return [behind.text[: stop[1]]] if stop else []

    def _without_standing_prompt(self, text: str) -> str:
        """Without the next header, which some templates write after the last answer too.

        As in: templates that know no `add_generation_prompt` and always end with `### Assistant:`.
        """
        prompt = self._probes.standing_prompt
        stops = any(token in prompt for token in self._renderings.tokenizer.stop_tokens)
        return text if stops else text.removesuffix(prompt)

    def _before_next_header(self, place: int, between: str) -> str:
        """What stands between this turn and the header of the next message, if an end of turn is in it: up to a
        token that opens the rendering too, or to the header as it stands before the first message of that role.

        As in: gpt-oss under another vocabulary, and templates that write the end of a turn when the next one begins.
        """
        markers = self._comparison.markers
        opened = (
            match.start() for match in markers.finditer(between) if match.group() in self._tokens.opening
        )
        kept = next(opened, None)
        messages = self._renderings.messages
        if kept is None and messages[place + 1]["role"] == messages[0]["role"]:
            opening = self._renderings.text[: self._borders.next_text(-1, 0)]
            kept = len(between) - self._comparison.shared_end(between, opening)
        left = between[: kept or 0]
        return left if markers.search(left) else ""

    def _rest(self, behind: Behind, *, generation: bool) -> str | None:
        """What follows the turn's text and last tool call when the conversation ends with this turn."""
        rendering = self._renderings.marked(behind.place + 1, generation)
        if rendering is None:
            return None
        whole, marks = self._renderings.whole, self._renderings.marks.messages[behind.place]
        known = [
            (whole.at(marks.end), rendering.at(marks.end)),
            (whole.first(marks.call), rendering.first(marks.call)),
        ]
        both = [(here, there) for here, there in known if here is not None and there is not None]
        usable = [pair for pair in both if pair[0] <= behind.after]
        here, there = max(usable) if usable else self._borders.anchor(behind.place, rendering)
        skipped = behind.after - here
        between = rendering.text[there : there + skipped]
        if between != self._renderings.text[here : behind.after]:
            return None
        return rendering.text[there + skipped :]

    def _prompt_after(self, place: int, going_on: str) -> str:
        """The generation prompt at the end of a rendering that goes on after this turn, if it is one that is known.

        As in: Qwen3, whose prompt opens the thinking, and templates whose prompt closes the answer before it as well.
        """
        lone, before = self._probes.lone_prompt, self._renderings.marked(place, True)
        own = self._own_prompt(place, before) if before is not None else None
        if own and going_on.endswith(own):
            # after another answer the prompt may seem to hold that answer's end as well
            return lone if lone and own.endswith(lone) else own
        return lone if lone and going_on.endswith(lone) else ""

    def _own_prompt(self, place: int, before: Marked) -> str | None:
        _, there = self._borders.anchor(place, before)
        return self._probes.own_prompt(place, before.text[there:])
