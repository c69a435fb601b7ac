"""Rules of previews: the very function that makes the training arrays, shown for one conversation.

Tokenizers and the last masked conversations are kept, since people change one setting after the other.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlmodel import Session

from app.core.i18n import gettext, say
from app.core.slow_work import Bounds
from app.dialogue.conversation import Conversation as Dialogue
from app.dialogue.json_values import canonical_json
from app.mask_settings.tokenizers import as_invalid, tokenizer_of
from app.masking import (
    ChatTokenizer,
    MaskedSample,
    MaskingError,
    MaskSettings,
    mask_conversation,
    preview_sample,
    run_checks,
)
from app.previews.compare import Difference, compare
from app.sentences import N_, Sentence

# Four processes render templates; two of them for one person leave two for the others.
PREVIEWS: Final = Bounds(
    at_once=4,
    each=2,
    asked=8,
    seconds=30,
    too_many=N_("You have asked for many previews at once. Wait until some of them are there."),
    too_long=N_("Previews take long at this moment. Try again in a few seconds."),
)
# What the headless contract promises for one sample; pages add to it, scripts get exactly this.
CONTRACT_FIELDS: Final = ("text", "strategy", "tokens", "trained", "skipped", "truncated", "checks")
_CHECK_FIELDS: Final = ("name", "passed", "detail")


@dataclass(frozen=True)
class Masked:
    """The samples of one conversation under one tokenizer. `dropped` more train nothing and are left out."""

    tokenizer: ChatTokenizer
    samples: Sequence[MaskedSample]
    dropped: int


def mask_dialogue(
    session: Session,
    *,
    base_model_id: int,
    dialogue: Dialogue,
    settings: MaskSettings,
    chat_template: str | None = None,
    moment: datetime | None = None,
) -> Masked:
    """The samples that training would see of this dialogue; where all train nothing, those. `moment` (now) is for
    templates that write the date.

    Raises Invalid with the reason when no exact mask exists; a wrong mask is never shown.
    """
    tokenizer = tokenizer_of(session, base_model_id, chat_template or "")
    wanted = canonical_json(dialogue)
    try:
        now = datetime.now().replace(second=0, microsecond=0)  # noqa: DTZ005  (templates write the local date)
        return _masked(tokenizer, wanted, settings, (moment or now) if tokenizer.reads_the_clock else None)
    except MaskingError as error:
        raise as_invalid(error) from error


# Keyed by the tokenizer itself, which is one object as long as its folder does not change.
@lru_cache(maxsize=8)
def _masked(
    tokenizer: ChatTokenizer, dialogue_json: str, settings: MaskSettings, moment: datetime | None
) -> Masked:
    dialogue: Dialogue = json.loads(dialogue_json)
    found = mask_conversation(tokenizer, dialogue, settings, moment=moment)
    return Masked(tokenizer, found.samples or found.untrained, len(found.untrained) if found.samples else 0)


def show_sample(masked: Masked, number: int) -> dict[str, Any]:
    """One sample: the headless contract's fields, plus `cut_tokens`, the tokens beyond max_length.

    The sentences of the checks are in the reader's language; a failed one names its `token`.
    """
    sample = masked.samples[number]
    shown = preview_sample(masked.tokenizer, sample, include_cut_tokens=True)
    shown["checks"] = [
        {
            "name": check.name,
            "passed": check.passed,
            "detail": _said(check.sentence),
            "token": check.token,
        }
        for check in run_checks(masked.tokenizer, sample)
    ]
    return shown


def contract_of(masked: Masked, number: int) -> dict[str, Any]:
    """One sample exactly as `sft-studio masks preview --json` prints it."""
    shown = preview_sample(masked.tokenizer, masked.samples[number])
    checks = [{name: check[name] for name in _CHECK_FIELDS} for check in shown["checks"]]
    return {**{name: shown[name] for name in CONTRACT_FIELDS}, "checks": checks}


@dataclass(frozen=True)
class ComparedSample:
    """A sample and its partner on the other side: the one of the same turns, if there is one."""

    here: MaskedSample
    there: MaskedSample | None
    difference: Difference


def compare_masks(here: Masked, there: Masked) -> list[ComparedSample]:
    """Every sample of `here` beside the other side's."""
    partners = {sample.part.numbers: sample for sample in there.samples}
    return [
        ComparedSample(sample, partner, compare(sample, partner))
        for sample in here.samples
        for partner in [partners.get(sample.part.numbers)]
    ]


def _said(sentence: Sentence) -> str:
    """Roles are the only words among the values of a check's sentence."""
    role = sentence.values.get("role")
    return say(sentence.with_values(role=gettext(role.capitalize())) if isinstance(role, str) else sentence)
