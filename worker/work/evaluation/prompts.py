"""Prompts as token ids, and where an answer ends: from the template, by the rules that made the masks."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.masking import ChatTokenizer, MaskRefused, locate
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed


def encode_prompt(tokenizer: ChatTokenizer, messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """The messages and the generation prompt as ids; control tokens spelled in a message stay text."""
    text = tokenizer.render(messages, add_generation_prompt=True)
    if not any(_spells_control(tokenizer, message) for message in messages):
        return [int(index) for index in tokenizer.encoder.encode_many([text])[0].ids]
    layout = locate(tokenizer, messages)
    if not text.startswith(layout.text):
        raise JobFailed(
            FailureCode.MASK_REFUSED,
            N_(
                "A message spells a control token, and the template of %(model)s leaves no safe way to "
                "keep it text."
            ),
            model=tokenizer.name,
        )
    prompt_controls = [
        (match.start(), match.end()) for match in tokenizer.controls.any.finditer(text, len(layout.text))
    ]
    own = layout.controls
    if own is None:
        own = [match.span() for match in tokenizer.controls.any.finditer(layout.text)]
    return [int(index) for index in tokenizer.twin.encode(text, [*own, *prompt_controls]).ids]


def _spells_control(tokenizer: ChatTokenizer, message: Mapping[str, Any]) -> bool:
    return bool(tokenizer.controls.forbidden_in(str(message.get("content") or ""), str(message.get("role"))))


def end_of_turn_ids(tokenizer: ChatTokenizer) -> frozenset[int]:
    """Ids that end an answer: the template's end-of-turn token, and those the model's own settings name.

    The two may differ: a base model's end-of-sequence is often not what the template writes after a turn.
    """
    ids = set(tokenizer.stop_ids)
    if tokenizer.eos_token in tokenizer.added_tokens:
        ids.add(tokenizer.added_tokens[str(tokenizer.eos_token)])
    probe = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    try:
        layout = locate(tokenizer, probe)
    except MaskRefused:
        layout = None
    if layout is not None and layout.turns and layout.turns[-1].end_of_turn:
        start, end = layout.turns[-1].end_of_turn
        token = layout.text[start:end]
        if token in tokenizer.added_tokens:
            ids.add(tokenizer.added_tokens[token])
    if not ids:
        raise JobFailed(
            FailureCode.TEMPLATE_REFUSED,
            N_("The template of %(model)s has no token that ends a turn, so its answers would never stop."),
            model=tokenizer.name,
        )
    return frozenset(ids)
