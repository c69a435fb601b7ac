"""How much of the disk a run takes while it goes on, from the facts of its base model, before anything is written."""

import math
from typing import Final

from app.base_models.facts import ModelFacts
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.recipes.estimates import Estimate
from app.recipes.memory import moments, trained_parameters

# Whatever is trained is written in fp32, and so are AdamW's moments.
_WEIGHT_BYTES: Final = 4
# tokenizer.json, which lies beside a model and beside each checkpoint of another tool (seen: 60 to 75 of a token).
_BYTES_OF_A_TOKEN: Final = 70


def estimate_disk(
    estimate: Estimate, config: TrainingConfig, facts: ModelFacts, *, on_cpu: bool
) -> int | None:
    """Bytes on the disk at the most: checkpoints, one more while it is written, best and kept weights.

    None where nothing is known of the model's layers.
    """
    trained = trained_parameters(facts, config)
    if trained is None:
        return None
    weights = trained * _WEIGHT_BYTES
    tokenizer = _BYTES_OF_A_TOKEN * (facts.vocabulary or 0)
    each = weights + trained * moments(config.optim, on_cpu=on_cpu)
    every, best, kept = config.save_steps, 0, weights + tokenizer
    if config.backend != STUDIO:
        every = config.eval_steps if config.early_stopping_patience else every
        # Each checkpoint has a tokenizer, and what is trained lies there as the tool saved it and as it is kept.
        each, kept = each + tokenizer, kept + weights + tokenizer
    elif config.early_stopping_patience:
        # Each checkpoint has the best weights so far beside its own, and there may be newer ones than the newest's.
        each += weights
        measured_last = not every % config.eval_steps and not estimate.steps % config.eval_steps
        best = 0 if measured_last else weights
    written = math.ceil(estimate.steps / every)
    limit = config.save_total_limit
    return best + max(min(written, limit + 1) * each, min(written, limit) * each + kept)
