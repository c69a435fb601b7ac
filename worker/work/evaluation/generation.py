"""Greedy answers for many prompts at once: left padding, one row per prompt, rows leave as they finish."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from app.sentences import N_, FailureCode
from worker.work.evaluation.loading import LoadedModel
from worker.work.protocol import Control, JobFailed

# A step for many rows takes little longer than a step for one: what it waits for is the weights.
DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True)
class Answer:
    """`index` is the prompt's place in the call; `seconds` counts from the start of its batch."""

    index: int
    text: str
    tokens: int
    finish_reason: str  # "stop" | "length"
    seconds: float


def generate(
    loaded: LoadedModel,
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    control: Control,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Iterator[Answer]:
    """Answers as they finish, not in the order asked. Raises Cancelled between two tokens."""
    by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    # As few batches as the limit allows, of equal size: a few prompts left over would cost as much as many.
    batches = -(-len(prompts) // batch_size)
    for number in range(batches):
        chosen = by_length[len(prompts) * number // batches : len(prompts) * (number + 1) // batches]
        started = time.monotonic()
        for row, ids, reason in decode(loaded, model, [prompts[i] for i in chosen], max_new_tokens, control):
            text = loaded.tokenizer.encoder.tokenizer.decode(ids, skip_special_tokens=True).strip()
            yield Answer(chosen[row], text, len(ids), reason, time.monotonic() - started)


def require_room(loaded: LoadedModel, prompt: Sequence[int], max_new_tokens: int, name: str) -> None:
    """Refuse a prompt that leaves no room for its answer, instead of cutting it."""
    if len(prompt) + max_new_tokens > loaded.context_length:
        raise JobFailed(
            FailureCode.PROMPT_TOO_LONG,
            N_(
                "“%(name)s” has %(tokens)d tokens; with %(new)d for the answer it does not fit "
                "into the model's %(limit)d. Shorten it or lower max_new_tokens."
            ),
            name=name,
            tokens=len(prompt),
            new=max_new_tokens,
            limit=loaded.context_length,
        )


@torch.inference_mode()
def _prefill(
    loaded: LoadedModel, model: Any, prompts: Sequence[Sequence[int]]
) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Read all prompts in one pass; returns the cache, the attention mask and the next token of each row."""
    width = max(len(prompt) for prompt in prompts)
    pad = min(loaded.stop_ids)
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=loaded.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=loaded.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    # The last place as an index, not as a slice: a slice of each row does not lie together in memory, and torch
    # would multiply it with a copy of the whole output layer for every row.
    last = torch.tensor([width - 1], device=loaded.device)
    output = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=last
    )
    return output.past_key_values, mask, output.logits[:, -1].argmax(-1)


def decode(
    loaded: LoadedModel,
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    control: Control,
    *,
    until: float = math.inf,
) -> Iterator[tuple[int, list[int], str]]:
    """Yields (row, ids, finish reason). A finished row leaves the batch: later steps do not pay for it.

    What is not finished `until` then, by the monotonic clock, is as long as it is, for the reason “time”.
    """
    rows = list(range(len(prompts)))
    written: dict[int, list[int]] = {row: [] for row in rows}
    cache, mask, following = _prefill(loaded, model, prompts)
    while rows:
        control.raise_if_cancelled()
        keep: list[int] = []
        for place, (row, token) in enumerate(zip(rows, following.tolist(), strict=True)):
            if token in loaded.stop_ids:
                yield row, written[row], "stop"
                continue
            written[row].append(token)
            if len(written[row]) >= max_new_tokens:
                yield row, written[row], "length"
                continue
            keep.append(place)
        if not keep:
            return
        if time.monotonic() > until:
            yield from ((rows[place], written[rows[place]], "time") for place in keep)
            return
        with torch.inference_mode():
            if len(keep) < len(rows):
                chosen = torch.tensor(keep, device=loaded.device)
                cache.batch_select_indices(chosen)
                mask, following = mask[chosen], following[chosen]
                rows = [rows[place] for place in keep]
            mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
            output = model(
                input_ids=following[:, None],
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache, following = output.past_key_values, output.logits[:, -1].argmax(-1)
