"""Whether the token that ends an answer was ever trained: a base model that it was added to has a row for it that says nothing.

Such a model is tuned without an error and never stops: LoRA does not reach embeddings.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch

# Rows made by adding tokens are zero, or the mean of all rows with next to no noise, or one another's copies.
_ALIKE: Final = 0.02
# Rows beyond the tokenizer and other added tokens that are compared with.
_COMPARED: Final = 512


def is_trained(model: Any, token: int, added: Sequence[int], tokens: int) -> bool:
    """Whether the rows of `token` differ from what a token gets when it is added to a vocabulary.

    added: ids of the tokenizer's added tokens; tokens: how many the tokenizer has, rows from there on are unused.
    """
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    weights = {id(layer.weight): layer.weight for layer in layers if layer is not None}
    return not any(
        _is_unused(weight.detach(), token, added, tokens) for weight in weights.values() if weight.ndim == 2
    )


def trained_rows(model: Any, token: int) -> dict[str, list[int]]:
    """PEFT's trainable_token_indices that train the rows of `token`, by the dotted names of the layers that have them.

    The output layer is named only where it has weights of its own: PEFT follows tied ones by itself.
    """
    names = {id(module): name for name, module in model.named_modules()}
    first, last = model.get_input_embeddings(), model.get_output_embeddings()
    rows = {names[id(first)]: [token]}
    if last is not None and last.weight is not first.weight:
        rows[names[id(last)]] = [token]
    return rows


def _is_unused(weight: torch.Tensor, token: int, added: Sequence[int], tokens: int) -> bool:
    row = weight[token].float()
    ordinary = weight[: max(1, min(tokens, len(weight)))]
    # A sample says enough of the mean and of how far rows lie from it.
    sample = ordinary[:: max(1, len(ordinary) // 4096)].float()
    mean = sample.mean(0)
    spread = (sample - mean).norm(dim=1).median()
    if row.norm() <= _ALIKE * sample.norm(dim=1).median() or (row - mean).norm() <= _ALIKE * spread:
        return True
    others = [one for one in dict.fromkeys(added) if one != token and one < len(weight)][:_COMPARED]
    others += range(tokens, min(len(weight), tokens + _COMPARED))
    if not others:
        return False
    distances = (weight[others].float() - row).norm(dim=1)
    return bool((distances <= _ALIKE * spread).any())
