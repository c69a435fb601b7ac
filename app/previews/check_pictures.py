"""A drawn example for each check: how it should be, and the mistake that the check is there to find.

Drawn, not masked: the software does not make these mistakes, so nothing could be shown of them otherwise.
"""

from dataclasses import dataclass
from typing import Final

from app.core.i18n import Locale


@dataclass(frozen=True)
class Piece:
    """Some letters as a token, `state` as on the preview: trained, skipped, cut, or `gap` for a cut unsaid."""

    text: str
    state: str = "skipped"
    special: bool = False


Strip = list[Piece]
# What the customer asks and what the assistant answers, cut into words.
_WORDS: Final[dict[Locale, tuple[list[str], list[str]]]] = {
    "en": (["What", " does", " it", " cost", "?"], ["How", " many", " seats", "?"]),
    "zh-CN": (["多少", "钱", "？"], ["您", "几个人", "用", "？"]),
}
# Ids tell what the eye does not: the same letters, cut in two ways.
_WITH_IDS: Final[dict[Locale, tuple[list[str], list[str]]]] = {
    "en": (
        ["How·1073", " many·1109", " seats·9732", "?·47"],
        ["How·1073", " man·582", "y·105", " sea·4470", "ts?·2041"],
    ),
    "zh-CN": (["您·2741", "几个人·9012", "用·518", "？·47"], ["您几·6620", "个·335", "人·402", "用？·7718"]),
}
_CALL: Final = ["<tool_call>", "price", "(", "seats", "=", "8", ")", "</tool_call>"]
_START: Final = Piece("<|im_start|>", special=True)
_END: Final = Piece("<|im_end|>", special=True)
_TRAINED_END: Final = Piece("<|im_end|>", "trained", special=True)
_HEADER: Final = [_START, Piece("assistant"), Piece("↵")]
_TYPED: Final = [Piece(text) for text in ("<", "|", "im", "_", "end", "|", ">")]


def _said(words: list[str], state: str = "skipped") -> Strip:
    return [Piece(word, state) for word in words]


def check_pictures(locale: Locale) -> dict[str, tuple[Strip, Strip]]:
    """(right, wrong) for each check, in the reader's language."""
    asked, answered = _WORDS[locale]
    question, answer = _said(asked), _said(answered, "trained")
    right = [*_HEADER, *answer, _TRAINED_END, Piece("↵")]
    header_trained = [Piece(one.text, "trained", one.special) for one in _HEADER]
    own_ids, other_ids = (_said(pieces, "trained") for pieces in _WITH_IDS[locale])
    rest_cut = [*_said(answered[2:], "cut"), Piece(_END.text, "cut", special=True)]
    return {
        "trained_text": (right, [*_HEADER, *answer[:-2], *_said(answered[-2:]), _TRAINED_END, Piece("↵")]),
        "people_skipped": (
            [*question, _END, *_HEADER, *answer, _TRAINED_END],
            [*_said(asked, "trained"), _END, *_HEADER, *answer, _TRAINED_END],
        ),
        "template_skipped": (right, [*header_trained, *answer, _TRAINED_END, Piece("↵", "trained")]),
        "end_of_turn": (right, [*_HEADER, *answer, _END, Piece("↵")]),
        "model_ids": (
            [*_HEADER, *own_ids, _TRAINED_END],
            [*_HEADER, *other_ids, _TRAINED_END],
        ),
        "control_tokens": (
            [*question, *_TYPED, _END, *_HEADER, *answer, _TRAINED_END],
            [*question, _END, _END, *_HEADER, *answer, _TRAINED_END],
        ),
        "cuts_reported": (
            [*_HEADER, *answer[:2], Piece("✂", "gap"), *rest_cut],
            [*_HEADER, *answer[:2]],
        ),
        "trains_something": (right, [*_HEADER, *_said(answered), _END, Piece("↵")]),
        "carried": (
            [*_HEADER, *_said(_CALL, "trained"), _TRAINED_END, Piece("↵")],
            [*_HEADER, _TRAINED_END, Piece("↵")],
        ),
    }
