"""Where a turn begins: after what the generation prompt already contains."""

from dataclasses import dataclass, replace

from app.masking.turns.borders import Borders
from app.masking.turns.comparison import Comparison
from app.masking.turns.probes import Probes
from app.masking.turns.renderings import Marked, Renderings
from app.sentences import N_

LONGEST_PROMPT = 4096  # no generation prompt is longer; comparing goes place by place


@dataclass(frozen=True)
class Start:
    """Where a turn begins; whether the model writes the header before its answer itself; and what the
    generation prompt adds to the whole header, which an answer may happen to begin with.
    """

    place: int
    writes_header: bool = False
    prompt_rest: str = ""


class Starts:
    """Raises MaskRefused naming the turn where no beginning can be proven."""

    def __init__(
        self, renderings: Renderings, borders: Borders, probes: Probes, comparison: Comparison
    ) -> None:
        self._renderings = renderings
        self._text = renderings.text
        self._borders = borders
        self._probes = probes
        self._comparison = comparison

    def find(self, place: int, content_start: int | None, end_before: int) -> Start:
        prompt = self._renderings.marked(place, True)
        found = self._by_own_prompt(place, prompt, content_start) if prompt is not None else None
        if found is None and content_start is not None:
            if self._follows_at_once(place, content_start, end_before):
                return Start(content_start)
            found = self._by_lone_prompt(place, content_start)
        elif found is not None and found.writes_header:
            # the template has a prompt, only not for a conversation that stops here
            lone = self._by_lone_prompt(place, content_start) if content_start is not None else None
            if lone is not None and lone.place >= end_before:
                found = lone
            elif self._says_something(found.place):
                found = None
        if found is None:
            raise self._renderings.refusal(
                N_(
                    "The chat template %(template)s writes a generation prompt before turn %(turn)d that does "
                    "not match what it writes in the conversation, so where the turn begins cannot be proven; "
                    "leave this turn untrained."
                ),
                place,
            )
        bos = self._renderings.tokenizer.variables.get("bos_token")
        if place == 0 and bos and self._text.startswith(bos, found.place):
            found = replace(found, place=found.place + len(bos))  # no model writes the beginning of a text
        return found

    def _says_something(self, start: int) -> bool:
        """Whether the template begins every conversation with words, which would pass for the first header."""
        opening = self._comparison.markers.sub("", self._probes.preamble[start:])
        return any(character.isalnum() for character in opening)

    def _by_own_prompt(self, place: int, prompt: Marked, content_start: int | None) -> Start | None:
        """By comparing with the generation prompt after everything before this turn."""
        text = self._text
        here, there = self._borders.anchor(place, prompt)
        header = text[here:content_start]  # with all that follows, where nothing tells its end
        asked = prompt.text[there:]
        rest = asked.removeprefix(header) if asked.startswith(header) else ""
        if text.startswith(asked, here):  # the text itself may repeat what the prompt already says
            return Start(here + len(asked), self._writes_header(place, asked, header[len(asked) :]), rest)
        shared = self._comparison.shared(header, asked)
        whole = content_start is not None or not self._borders.text_of(place).strip()
        if not self._covers(place, header, asked, shared, header_is_whole=whole):
            loosely = _loosely_shared(header, asked) if whole else None
            return None if loosely is None else Start(here + loosely)
        return Start(here + shared, self._writes_header(place, asked, header[shared:]), rest)

    def _covers(
        self,
        place: int,
        header: str,
        asked: str,
        shared: int,
        *,
        header_is_whole: bool,
    ) -> bool:
        """Whether the shared part reaches into the generation prompt itself, and ends where one may cut."""
        own = self._probes.own_prompt(place, asked)
        if not own or shared <= len(asked) - len(own):
            return False
        rest_asked, rest_header = asked[shared:], header[shared:]
        if self._comparison.same_marker(rest_asked, rest_header) is not None:
            return False  # the prompt writes it as well, only otherwise spaced: the model does not
        if self._comparison.markers.match(rest_asked):
            return True
        if not header_is_whole:
            return False
        return not (rest_header[:1].isalnum() and rest_asked[:1].isalnum())

    def _writes_header(self, place: int, asked: str, rest: str) -> bool:
        """Whether the model itself has to write what stands before its answer,
        for want of a generation prompt.
        """
        return bool(rest.strip()) and self._probes.own_prompt(place, asked) == ""

    def _follows_at_once(self, place: int, content_start: int, end_before: int) -> bool:
        """Whether the template writes this answer without a header:
        right after another one, or as the first message.
        """
        if place == 0:
            end_before = len(self._probes.preamble)
        return end_before <= content_start and not self._text[end_before:content_start].strip()

    def _by_lone_prompt(self, place: int, content_start: int) -> Start | None:
        """For a turn whose prompt cannot be rendered in place: the prompt after a lone question, where the
        header holds it or it holds the rest of the header.
        """
        earlier = [
            found
            for marks in self._renderings.marks.messages[:place]
            if (found := self._renderings.whole.at(marks.end)) is not None
        ]
        text, prompt = self._text, self._probes.lone_prompt or self._probes.standing_prompt
        if len(prompt) > LONGEST_PROMPT:
            return None
        header_start = max(earlier, default=0)
        # Nothing where an earlier text stands behind this one: the conversation's order is not the rendering's.
        header = text[header_start:content_start]
        for asked in dict.fromkeys((prompt, prompt.lstrip())):
            for cut in reversed(range(max(0, len(header) - LONGEST_PROMPT), len(header))):
                rests = self._aligned(header, cut, asked)
                if rests is not None:
                    rest_header, rest_asked = rests
                    rest = "" if rest_header else rest_asked
                    repeated = len(rest) if text.startswith(rest, content_start) else 0
                    return Start(content_start - len(rest_header) + repeated, prompt_rest=rest)
        return None

    def _aligned(self, header: str, cut: int, asked: str) -> tuple[str, str] | None:
        """What is left of the header and of the prompt when the prompt begins at `cut`; None where it does
        not.
        """
        if (
            not asked.strip()
            or header[cut] != asked[0]
            or (header[:cut][-1:].isalnum() and asked[0].isalnum())
        ):
            return None
        shared = self._comparison.shared(header[cut:], asked)
        rest_header, rest_asked = header[cut + shared :], asked[shared:]
        if rest_header and rest_asked.strip():
            return None
        core = asked[:shared].strip()
        telling = self._comparison.markers.search(core) is not None or 2 * len(core) >= len(asked.strip())
        return (rest_header, rest_asked) if telling else None


def _loosely_shared(header: str, asked: str) -> int | None:
    """How far the header goes along with the whole prompt when runs of white space may differ in length;
    None where the prompt says something else.
    """
    here = there = 0
    while there < len(asked):
        if here < len(header) and header[here] == asked[there] and not asked[there].isspace():
            here, there = here + 1, there + 1
            continue
        gap_here, gap_there = _gap(header, here), _gap(asked, there)
        if not gap_there or (not gap_here and here < len(header)):
            return None
        if there + gap_there == len(asked):  # what the prompt ends with is its own, as far as both have it
            return here + min(gap_here, gap_there)
        here, there = here + gap_here, there + gap_there
    return here


def _gap(text: str, at: int) -> int:
    """The number of white space characters from `at` on."""
    return len(text) - at - len(text[at:].lstrip())
