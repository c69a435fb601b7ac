"""What a run refuses before its first step: arrays that have nothing to train, or that another tokenizer made."""

from pathlib import Path
from typing import Any

from app.masking import MaskArrays, MaskingError, read_model_folder
from app.recipes.config import TrainingConfig
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed
from worker.work.training.data import ArraySamples


def check_samples(train_samples: ArraySamples, eval_samples: ArraySamples, config: TrainingConfig) -> None:
    """Raises JobFailed where nothing could be trained, or early stopping has nothing to go by."""
    if train_samples.trained_tokens() == 0:
        raise JobFailed(
            FailureCode.NOTHING_TRAINED,
            N_("The training split has no trained token: approve conversations with trained turns first."),
        )
    if config.early_stopping_patience and eval_samples.trained_tokens() == 0:
        raise JobFailed(
            FailureCode.CONFIG_INVALID,
            N_("early_stopping_patience needs a validation split: add one to the version, or use 0."),
        )


def require_same_tokenizer(folder: Path, expected_hash: str | None) -> None:
    """What the arrays were made with is what answers will be rendered and cut with."""
    if not expected_hash:
        return
    try:
        found = read_model_folder(folder).fingerprint
    except MaskingError as error:
        raise JobFailed.of(error) from error
    if found != expected_hash:
        raise JobFailed(
            FailureCode.TOKENIZER_CHANGED,
            N_(
                "The tokenizer or the chat template in %(folder)s changed after the mask check. Run the mask check "
                "again, then start a new run."
            ),
            folder=str(folder),
        )


def check_vocabulary(arrays: MaskArrays, base_model: Any) -> int:
    """How many tokens the base model knows. Raises JobFailed where the arrays hold others."""
    size = int(base_model.get_input_embeddings().num_embeddings)
    largest = int(arrays.input_ids.max())
    if largest >= size or int(arrays.input_ids.min()) < 0:
        raise JobFailed(
            FailureCode.TOKENIZER_CHANGED,
            N_(
                "The arrays hold token %(token)d and the base model knows %(size)d tokens: they were made "
                "with another tokenizer. Run the mask check with this base model."
            ),
            token=largest,
            size=size,
        )
    return size
