"""The nine checks of a sample. Each starts from the ids and labels that will be trained,
not from how they were made.
"""

from bisect import bisect_left
from collections.abc import Callable

import numpy as np

from app.masking.checking.check import (
    CONTROL_TOKENS,
    CUTS_REPORTED,
    END_OF_TURN,
    MODEL_IDS,
    PEOPLE_SKIPPED,
    TEMPLATE_SKIPPED,
    TRAINED_TEXT,
    TRAINS_SOMETHING,
    Check,
    failed,
    passed,
)
from app.masking.checking.missing import carried
from app.masking.checking.second_encoding import (
    SecondEncoding,
    outside_spelled,
    second_encodings,
    tokens_inside,
)
from app.masking.samples.sample import ROLE_NAMES, MaskedSample
from app.masking.settings import IGNORE_INDEX, TrainOn
from app.masking.tokenization.decoding import spells
from app.masking.tokenization.encoded import Encoded
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.masking.turns.layout import Turn
from app.sentences import N_


def run_checks(
    tokenizer: ChatTokenizer, sample: MaskedSample, second_encoding: "SecondEncoding | None" = None
) -> list[Check]:
    """All nine, in the order of CHECK_NAMES. `second_encoding` is from `second_encodings`,
    which is faster for many.
    """
    checked = _CheckedSample(tokenizer, sample, second_encoding or second_encodings(tokenizer, [sample])[0])
    return [check(checked) for check in _CHECKS]


class _CheckedSample:
    """What the checks share: the arrays, and ranges of kept tokens."""

    def __init__(self, tokenizer: ChatTokenizer, sample: MaskedSample, second: SecondEncoding) -> None:
        self.tokenizer = tokenizer
        self.sample = sample
        self.second = second
        self.encoded: Encoded = sample.encoded
        self.kept = len(sample.input_ids)
        self.trained = sample.labels != IGNORE_INDEX
        self.roles, self.turns = sample.roles_and_turns()
        self.chosen = {message for _, _, message in sample.spans}

    def chosen_turns(self) -> list[Turn]:
        return [turn for turn in self.sample.layout.turns if turn.message in self.chosen]

    def number(self, message: int) -> int:
        """A message's place in the conversation, counted from one, for sentences."""
        return self.sample.part.numbers[message] + 1


def _trained_text(checked: _CheckedSample) -> Check:
    """1. The trained tokens spell exactly the chosen turns."""
    sample = checked.sample
    wrong = np.flatnonzero(checked.trained & (sample.labels != sample.input_ids))
    if len(wrong):
        return failed(
            TRAINED_TEXT, N_("Token %(token)d has another token's label."), int(wrong[0]), token=int(wrong[0])
        )
    straddling = 0
    expected = np.zeros(checked.kept, dtype=np.bool_)
    for start, end, _ in sample.spans:
        tokens = checked.sample.tokens_of(start, end)
        if tokens.start >= checked.kept or start >= end:
            continue
        expected[tokens.start : tokens.stop] = True
        straddling += int(tokens.start > 0 and checked.encoded.ends[tokens.start - 1] > start)
        last = tokens.stop - 1
        straddling += int(tokens.start <= last < checked.kept and checked.encoded.ends[last] > end)
        if not spells(checked.tokenizer.encoder, sample.text, checked.encoded, tokens, checked.kept):
            return failed(
                TRAINED_TEXT,
                N_(
                    "The tokens from %(token)d on do not decode to the text they stand for; the vocabulary "
                    "cannot spell it."
                ),
                tokens.start,
                token=tokens.start,
            )
    different = np.flatnonzero(expected != checked.trained)
    if len(different):
        first = int(different[0])
        return failed(
            TRAINED_TEXT, N_("Token %(token)d is on the wrong side of a turn's border."), first, token=first
        )
    notes = _rewritten_note(checked)
    if notes is not None:
        return notes
    if straddling:
        return passed(
            TRAINED_TEXT,
            N_(
                "The trained tokens are those that begin inside the chosen turns; %(count)d tokens "
                "straddle a "
                "border: one that begins before a turn is skipped, one that ends after it is trained."
            ),
            count=straddling,
        )
    return passed(
        TRAINED_TEXT, N_("The trained tokens decode to exactly the chosen turns with their end of turn.")
    )


def _rewritten_note(checked: _CheckedSample) -> Check | None:
    rewritten = [checked.number(turn.message) for turn in checked.chosen_turns() if turn.rewritten]
    if not rewritten:
        return None
    return passed(
        TRAINED_TEXT,
        N_(
            "Exactly what is rendered is trained, but the template shows turns %(turns)s differently from"
            " how the model has "
            "to write them; use one sample per assistant turn to train them as at inference."
        ),
        turns=", ".join(map(str, rewritten)),
    )


def _people_skipped(checked: _CheckedSample) -> Check:
    """2. Nothing a person, a tool or the system wrote is trained unless it was chosen."""
    for region in checked.sample.layout.regions:
        if region.message in checked.chosen:
            continue
        tokens = checked.sample.tokens_of(region.start, region.end)
        if checked.trained[tokens].any():
            wrong = tokens.start + int(checked.trained[tokens].argmax())
            return failed(
                PEOPLE_SKIPPED,
                N_("Token %(token)d of turn %(turn)d (%(role)s) is trained."),
                wrong,
                token=wrong,
                turn=checked.number(region.message),
                role=region.role,
            )
    own = [
        checked.number(region.message)
        for region in checked.sample.layout.regions
        if region.message in checked.chosen
    ]
    if own:
        return passed(
            PEOPLE_SKIPPED,
            N_(
                "Only turns chosen by the strategy or a flag are trained; among them turns %(turns)s, not"
                " the assistant's."
            ),
            turns=", ".join(map(str, own)),
        )
    return passed(PEOPLE_SKIPPED, N_("Every system, user and tool token is skipped."))


def _template_skipped(checked: _CheckedSample) -> Check:
    """3. Headers, separators and everything else the template adds are skipped."""
    if checked.sample.settings.train_on is TrainOn.ALL:
        return passed(
            TEMPLATE_SKIPPED, N_("The strategy “all” trains headers and separators too; not recommended.")
        )
    wrong = np.flatnonzero(checked.trained & (checked.roles[: checked.kept] == ROLE_NAMES.index("template")))
    if len(wrong):
        return failed(
            TEMPLATE_SKIPPED,
            N_("Token %(token)d is a header or separator and is trained."),
            int(wrong[0]),
            token=int(wrong[0]),
        )
    if any(turn.writes_header for turn in checked.chosen_turns()):
        return passed(
            TEMPLATE_SKIPPED,
            N_(
                "The template has no generation prompt here, so what it puts before an answer is the "
                "model's to write."
            ),
        )
    return passed(TEMPLATE_SKIPPED, N_("Every header and separator is skipped."))


def _end_of_turn(checked: _CheckedSample) -> Check:
    """4. The model learns to stop."""
    cut = {cut.turn for cut in checked.sample.cuts}
    for turn in checked.chosen_turns():
        number = checked.sample.part.numbers[turn.message]
        if number in cut:
            continue
        if turn.end_of_turn is None:
            return failed(
                END_OF_TURN,
                N_(
                    "The template writes no end-of-turn token after turn %(turn)d, so the model would not"
                    " learn to stop; "
                    "use one sample per assistant turn, or a template that ends its turns."
                ),
                checked.sample.tokens_of(turn.start, turn.end).start,
                turn=number + 1,
            )
        last = int(np.searchsorted(checked.encoded.starts, turn.end_of_turn[1] - 1, side="right")) - 1
        marker = slice(min(checked.sample.tokens_of(*turn.end_of_turn).start, last), last + 1)
        if not checked.trained[marker].all():
            return failed(
                END_OF_TURN, N_("The end of turn %(turn)d is not trained."), marker.start, turn=number + 1
            )
    return passed(END_OF_TURN, N_("The end of every chosen turn is trained."))


def _model_ids(checked: _CheckedSample) -> Check:
    """5. The ids are the model's own; where a message spells control tokens, everywhere outside that message."""
    if checked.second.ids is not None:
        if np.array_equal(checked.second.ids, checked.encoded.ids):
            return passed(MODEL_IDS, N_("The ids equal the model's own apply_chat_template."))
        length = min(len(checked.second.ids), len(checked.encoded.ids))
        different = np.flatnonzero(checked.second.ids[:length] != checked.encoded.ids[:length])
        first = int(different[0]) if len(different) else length
        return failed(MODEL_IDS, N_("Token %(token)d is not the model's own."), first, token=first)
    own = checked.second.encoded
    assert own is not None
    outside = outside_spelled(checked.sample.layout)
    ours, theirs = tokens_inside(checked.encoded, outside), tokens_inside(own, outside)
    if [token[:2] for token in ours] != [token[:2] for token in theirs]:
        pairs = enumerate(zip(ours, theirs, strict=False))
        first = next((at for at, (a, b) in pairs if a[:2] != b[:2]), min(len(ours), len(theirs)))
        token = ours[first][2] if first < len(ours) else checked.kept - 1
        return failed(MODEL_IDS, N_("Token %(token)d is not the model's own."), token, token=token)
    return passed(
        MODEL_IDS,
        N_(
            "The ids equal the model's own apply_chat_template outside the messages that spell control "
            "tokens."
        ),
    )


def _control_tokens(checked: _CheckedSample) -> Check:
    """6. No control token came from message text."""
    sample = checked.sample
    found = checked.tokenizer.count_controls(checked.encoded.ids)
    if sample.expected_controls is not None and found != sample.expected_controls:
        return failed(
            CONTROL_TOKENS,
            N_("There are %(found)d control tokens where the template wrote %(expected)d."),
            found=found,
            expected=sample.expected_controls,
        )
    allowed = None if sample.layout.controls is None else {start for start, _ in sample.layout.controls}
    controls: list[int] = np.flatnonzero(checked.tokenizer.is_control[checked.encoded.ids]).tolist()
    special = [index for index in controls if checked.tokenizer.is_special[checked.encoded.ids[index]]]
    texts = [(region.start, region.end, controls) for region in sample.layout.regions]
    texts += [
        (turn.content_start, turn.content_end, special)
        for turn in sample.layout.turns
        if turn.content_start is not None and turn.content_end is not None
    ]
    for start, end, forbidden in texts:
        tokens = sample.tokens_of(start, end)
        for index in forbidden[bisect_left(forbidden, tokens.start) : bisect_left(forbidden, tokens.stop)]:
            inside = start <= checked.encoded.starts[index] and checked.encoded.ends[index] <= end
            if inside and (allowed is None or int(checked.encoded.starts[index]) not in allowed):
                return failed(
                    CONTROL_TOKENS,
                    N_("Token %(token)d is a control token that message text spelled."),
                    index,
                    token=index,
                )
    if sample.layout.spelled:
        named = dict.fromkeys(
            (checked.number(spelled.message), spelled.token) for spelled in sample.layout.spelled
        )
        return passed(
            CONTROL_TOKENS,
            N_("Spelled in message text and kept ordinary text, by turn: %(spelled)s."),
            spelled="; ".join(f"{number}: {token}" for number, token in named),
        )
    return passed(CONTROL_TOKENS, N_("No message spells a control token."))


def _cuts_reported(checked: _CheckedSample) -> Check:
    """7. Whatever is missing from the sample is in its list of cuts."""
    sample = checked.sample
    lost = int(np.count_nonzero(sample.full_labels[checked.kept :] != IGNORE_INDEX))
    reported = sum(cut.trained for cut in sample.cuts)
    if sample.settings.train_on is not TrainOn.ALL and lost != reported:
        return failed(
            CUTS_REPORTED,
            N_("%(lost)d trained tokens were cut, %(reported)d are reported."),
            checked.kept,
            lost=lost,
            reported=reported,
        )
    limit = sample.settings.max_length
    if limit is not None and checked.kept > limit:
        return failed(CUTS_REPORTED, N_("The sample is longer than %(limit)d tokens."), limit, limit=limit)
    if sample.truncated:
        half = [cut.turn + 1 for cut in sample.cuts if cut.half]
        message = (
            N_(
                "Cut at %(kept)d of %(whole)d tokens, %(lost)d of them trained; turns %(half)s are cut in"
                " the middle."
            )
            if half
            else N_(
                "Cut at %(kept)d of %(whole)d tokens after a whole turn; %(lost)d trained tokens are lost."
            )
        )
        return passed(
            CUTS_REPORTED,
            message,
            kept=checked.kept,
            whole=len(sample.encoded.ids),
            lost=lost,
            half=", ".join(map(str, half)),
        )
    if sample.part.left_out:
        return passed(
            CUTS_REPORTED,
            N_("%(count)d earlier turns are left out to make room; no trained token is lost."),
            count=sample.part.left_out,
        )
    return passed(CUTS_REPORTED, N_("Nothing was cut."))


def _trains_something(checked: _CheckedSample) -> Check:
    """8. At least one token is trained."""
    if not checked.trained.any():
        return failed(TRAINS_SOMETHING, N_("No token is trained, so the sample is dropped."))
    return passed(TRAINS_SOMETHING, N_("%(count)d tokens are trained."), count=int(checked.trained.sum()))


_CHECKS: tuple[Callable[[_CheckedSample], Check], ...] = (
    _trained_text,
    _people_skipped,
    _template_skipped,
    _end_of_turn,
    _model_ids,
    _control_tokens,
    _cuts_reported,
    _trains_something,
    lambda checked: carried(checked.sample),
)
