"""What a template writes around short stand-in messages: its generation prompt, its opening, the end of an answer.

Each is rendered once, when it is first asked for, and is empty or None where the template refuses the stand-in.
"""

from collections.abc import Sequence

from app.masking.errors import TemplateFailed
from app.masking.turns.borders import Borders
from app.masking.turns.comparison import Comparison
from app.masking.turns.renderings import Message, Renderings
from app.unlocked import cached_property


class Probes:
    """For the conversation of these renderings: its tools, its marks as words that occur nowhere else."""

    def __init__(self, renderings: Renderings, borders: Borders, comparison: Comparison) -> None:
        self._renderings = renderings
        self._borders = borders
        self._comparison = comparison
        self._text = renderings.text
        self._marks = renderings.marks

    def own_prompt(self, place: int, asked: str) -> str | None:
        """What `add_generation_prompt` adds before this turn; None when the template cannot say."""
        bare = self._renderings.marked(place, False)
        if bare is None:
            return None
        _, there = self._borders.anchor(place, bare)
        added = asked[self._comparison.shared(bare.text[there:], asked) :]
        return self.standing_prompt if not added and asked.endswith(self.standing_prompt) else added

    @cached_property
    def lone_prompt(self) -> str | None:
        """What `add_generation_prompt` adds to a lone question."""
        question = [{"role": "user", "content": self._marks.messages[0].start}]
        with_prompt = self._render(question, generation=True)
        without = self._render(question, generation=False)
        if with_prompt is None or without is None:
            return None
        return with_prompt[self._comparison.shared(without, with_prompt) :]

    @cached_property
    def standing_prompt(self) -> str:
        """What the template writes after a last question whether it is asked for a prompt or not, and leaves
        out where another message follows.
        """
        marks = self._marks.messages[0]
        questions = [{"role": "user", "content": mark} for mark in (marks.start, marks.end)]
        last = self._render(questions[:1], generation=False)
        if last is None or last != self._render(questions[:1], generation=True):
            return ""
        followed = self._render(questions, generation=False)
        if followed is None or {last.count(marks.start), followed.count(marks.start)} != {1}:
            return ""
        after, between = last.partition(marks.start)[2], followed.partition(marks.start)[2]
        start = self._comparison.shared(after, between)
        if (
            self._comparison.markers.match(after, start) is None
        ):  # headers in words may begin with the same ones
            ends = [match.end() for match in self._comparison.markers.finditer(after, 0, start)]
            start = max([after.rfind("\n", 0, start) + 1, *ends])
        return after[start:]

    @cached_property
    def preamble(self) -> str:
        """What the template writes before the first message, whoever speaks it."""
        question = [{"role": "user", "content": self._marks.messages[0].start}]
        rendered = self._render(question, generation=False) or ""
        return self._text[: self._comparison.shared(self._text, rendered)]

    @cached_property
    def _plain_answer(self) -> tuple[str, str, str]:
        """Around a plain answer: what follows it as the last message, what follows up to another question, and
        what stands before the first question. Empty where the template cannot say.
        """
        marks = self._marks.messages[0]
        messages = [
            {"role": "user", "content": marks.start},
            {"role": "assistant", "content": marks.end},
            {"role": "user", "content": marks.start},
        ]
        stopped = self._render(messages[:2], generation=False)
        went_on = self._render(messages, generation=False)
        if stopped is None or went_on is None or {stopped.count(marks.end), went_on.count(marks.end)} != {1}:
            return "", "", ""
        before, _, after = went_on.partition(marks.end)
        return (
            stopped.partition(marks.end)[2],
            after.partition(marks.start)[0],
            before.partition(marks.start)[0],
        )

    @property
    def answer_tail(self) -> str:
        """What the template writes after an answer whether the conversation goes on or not; nothing where the two
        part in the middle of words.
        """
        stopped, went_on, _ = self._plain_answer
        both = stopped[: self._comparison.shared(stopped, went_on)]
        return both if not stopped[len(both) :].strip() or self._comparison.markers.search(both) else ""

    @cached_property
    def answer_ends(self) -> tuple[str, str]:
        """What stands after a plain answer that is the last message, and between one that is not and the header of
        the next question.
        """
        stopped, went_on, opening = self._plain_answer
        return stopped, went_on[: len(went_on) - self._comparison.shared_end(went_on, opening)]

    @property
    def before_question(self) -> str:
        """What stands before the first question."""
        return self._plain_answer[2]

    def _render(self, messages: Sequence[Message], *, generation: bool) -> str | None:
        try:
            return self._renderings.tokenizer.render(
                messages, add_generation_prompt=generation, tools=self._renderings.tools
            )
        except TemplateFailed:
            return None
