"""Several samples of one conversation: one per assistant turn,
or windows of whole exchanges, each measured exactly.
"""

from collections.abc import Iterable
from itertools import pairwise

from app.masking.samples.conversation import Dialogue
from app.masking.samples.rendered import RenderedSample, SampleRenderer
from app.masking.samples.sample import Part
from app.masking.settings import TrainOn


class Windows:
    """Divides one conversation into samples. Exchanges begin with a user turn; opening system messages go with every
    sample.
    """

    def __init__(self, renderer: SampleRenderer, dialogue: Dialogue) -> None:
        self.renderer = renderer
        self.dialogue = dialogue
        self.settings = renderer.settings
        roles = [message["role"] for message in dialogue.messages]
        self.lead = next((place for place, role in enumerate(roles) if role != "system"), len(roles))
        starts = [place for place in range(self.lead, len(roles)) if roles[place] == "user"]
        if self.lead < len(roles) and (not starts or starts[0] != self.lead):
            starts.insert(0, self.lead)
        self.exchanges = list(pairwise([*starts, len(roles)]))  # none where only the system speaks

    def part(self, first: int, stop: int, eligible: Iterable[int]) -> Part:
        """The opening system messages and the messages [first, stop)."""
        numbers = (*range(self.lead), *range(first, stop))
        return Part(numbers, frozenset(eligible), left_out=first - self.lead)

    def per_turn(self) -> list[RenderedSample]:
        """One sample per assistant turn, rendered as at inference;
        the oldest exchanges go first when it is too long.
        """
        samples = []
        assistants = [
            place for place, message in enumerate(self.dialogue.messages) if message["role"] == "assistant"
        ]
        for turn in assistants:
            if self.dialogue.flags[turn] is False or (
                self.settings.train_on is TrainOn.LAST_ASSISTANT
                and turn != assistants[-1]
                and self.dialogue.flags[turn] is None
            ):
                continue
            begins = [start for start, _ in self.exchanges if start < turn] or [self.lead]
            samples.append(self._longest_that_fits(turn, begins))
        return samples

    def _longest_that_fits(self, turn: int, begins: list[int]) -> RenderedSample:
        """The sample that begins as early as the length allows, else the shortest. Found by halving, for the fewer
        exchanges, the shorter.
        """

        def from_place(place: int) -> RenderedSample:
            return self.renderer.render(self.dialogue, self.part(begins[place], turn + 1, [turn]))

        whole, limit = from_place(0), self.settings.max_length
        if limit is None or self.renderer.length(whole) <= limit or len(begins) == 1:
            return whole
        fits: RenderedSample | None = None
        low, high = 1, len(begins) - 1
        while low < high:
            middle = (low + high) // 2
            shorter = from_place(middle)
            if self.renderer.length(shorter) <= limit:
                fits, high = shorter, middle
            else:
                low = middle + 1
        return fits or from_place(high)

    def sliding(self, everything: Part) -> list[RenderedSample]:
        """Windows of whole exchanges; each repeats one earlier exchange as context where it fits."""
        limit = self.settings.max_length
        whole = self.renderer.render(self.dialogue, everything)
        if limit is None or self.renderer.length(whole) <= limit or len(self.exchanges) < 2:
            return [whole]
        samples = []
        first = 0
        while first < len(self.exchanges):
            chosen: RenderedSample | None = None
            stop = first + 1
            for context in dict.fromkeys((max(first - 1, 0), first)):
                chosen = self._window(context, first, stop)
                if self.renderer.length(chosen) <= limit:
                    while stop < len(self.exchanges):
                        longer = self._window(context, first, stop + 1)
                        if self.renderer.length(longer) > limit:
                            break
                        chosen, stop = longer, stop + 1
                    break
            assert chosen is not None
            samples.append(chosen)
            first = stop
        return samples

    def _window(self, context: int, first: int, stop: int) -> RenderedSample:
        begin, end = self.exchanges[context][0], self.exchanges[stop - 1][1]
        eligible = range(self.exchanges[first][0] if first else 0, end)
        made: RenderedSample = self.renderer.render(self.dialogue, self.part(begin, end, eligible))
        return made
