"""A sample as the preview shows it: plain JSON for pages and scripts."""

from typing import Any

from app.dialogue.conversation import Conversation
from app.masking.checking.checks import run_checks
from app.masking.samples.sample import ROLE_NAMES, MaskedSample
from app.masking.samples.stream import mask_conversation
from app.masking.settings import IGNORE_INDEX, MaskSettings
from app.masking.tokenization.tokenizer import ChatTokenizer


def preview(
    tokenizer: ChatTokenizer,
    conversation: Conversation,
    settings: MaskSettings,
    *,
    include_cut_tokens: bool = False,
) -> list[dict[str, Any]]:
    """One JSON object per sample (one for the handling “whole”). Raises MaskRefused.

    With `include_cut_tokens` each object also has `cut_tokens`,
    the tokens beyond `max_length`, as in `tokens`.
    """
    masked = mask_conversation(tokenizer, conversation, settings)
    return [
        preview_sample(tokenizer, sample, include_cut_tokens=include_cut_tokens)
        for sample in masked.samples or masked.untrained
    ]


def preview_sample(
    tokenizer: ChatTokenizer, sample: MaskedSample, *, include_cut_tokens: bool = False
) -> dict[str, Any]:
    """`start`/`end` are code points of `text`;
    a character split over tokens gives each of them the same range.
    """
    tokens = _tokens(tokenizer, sample)
    kept = len(sample.input_ids)
    shown = {
        "text": sample.text,
        "strategy": sample.settings.train_on.value,
        "tokens": tokens[:kept],
        "trained": sample.trained,
        "skipped": kept - sample.trained,
        "truncated": sample.truncated,
        "checks": [
            {"name": check.name, "passed": check.passed, "detail": check.detail}
            for check in run_checks(tokenizer, sample)
        ],
    }
    if include_cut_tokens:
        shown["cut_tokens"] = tokens[kept:]
    return shown


def _tokens(tokenizer: ChatTokenizer, sample: MaskedSample) -> list[dict[str, Any]]:
    roles, turns = sample.roles_and_turns()
    kept = len(sample.input_ids)
    special = tokenizer.special_ids
    tokens = []
    for index, (identity, start, end, role, turn) in enumerate(
        zip(
            sample.encoded.ids.tolist(),
            sample.encoded.starts.tolist(),
            sample.encoded.ends.tolist(),
            roles.tolist(),
            turns.tolist(),
            strict=True,
        )
    ):
        tokens.append(
            {
                "index": index,
                "id": identity,
                "text": sample.text[start:end],
                "start": start,
                "end": end,
                "trained": bool(index < kept and sample.labels[index] != IGNORE_INDEX),
                "role": ROLE_NAMES[role],
                "turn": turn if turn >= 0 else None,
                "special": identity in special,
            }
        )
    return tokens
