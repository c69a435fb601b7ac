"""A run's config fitted to its data and its base model before anything starts: what does not fit is refused in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.base_models.facts import ModelFacts
from app.core.errors import Invalid
from app.recipes.config import TrainingConfig
from app.recipes.layers import fit_layers
from app.recipes.recipes import Recipe, build_config
from app.runs.backends import NO_BACKENDS, Backends, fit_to_backend
from app.sentences import N_, Sentence
from app.versions.models import DatasetVersion


@dataclass(frozen=True)
class Fitted:
    """The config that is trained with; `notes` say what is otherwise than asked, `warnings` what will go wrong."""

    config: TrainingConfig
    notes: list[Sentence] = field(default_factory=list)
    warnings: list[Sentence] = field(default_factory=list)


def fit_config(
    recipe: Recipe | str,
    changes: Mapping[str, object],
    version: DatasetVersion | None,
    facts: ModelFacts | None,
    backends: Backends = NO_BACKENDS,
) -> Fitted:
    """A recipe (or a built-in one by name) with changes, for this version on a model with these facts, trained by what is
    found here.

    Raises Invalid naming the field.
    """
    found = Fitted(fit_to_version(recipe, changes, version))
    if facts is not None:
        found = _fit_to_model(found.config, facts)
    config, notes = fit_to_backend(found.config, changes, facts.end_of_turn_id if facts else None, backends)
    return Fitted(config, [*found.notes, *notes], found.warnings)


def fit_to_version(
    recipe: Recipe | str, changes: Mapping[str, object], version: DatasetVersion | None
) -> TrainingConfig:
    """The config of a run on this version. Without held-out conversations nothing can stop it early."""
    if version is None or version.validation_count:
        return build_config(recipe, changes)
    config = build_config(recipe, {"early_stopping_patience": 0, **changes})
    if config.early_stopping_patience:
        raise Invalid(
            N_("%(field)s must be 0: this version holds nothing out, so there is nothing to judge by."),
            field="early_stopping_patience",
        )
    return config


def _fit_to_model(config: TrainingConfig, facts: ModelFacts) -> Fitted:
    notes = []
    wanted = config.lora_target_modules
    # Models that were prepared before their layers were noted have none; the trainer judges those.
    if facts.layers and isinstance(wanted, list):
        fitted = fit_layers(wanted, [layer.name for layer in facts.adaptable])
        notes += fitted.notes
        config = config.model_copy(update={"lora_target_modules": list(fitted.names)})
    if facts.layers and all(layer.experts for layer in facts.adaptable):
        raise Invalid(
            N_("This base model has no layer that an adapter could go on."), field="lora_target_modules"
        )
    if config.trainable_tokens == "end_of_turn" and facts.end_of_turn_id is None:
        raise Invalid(
            N_(
                "Nobody noted this model's end-of-turn token when it was prepared, so its row cannot be found: choose auto or none."
            ),
            field="trainable_tokens",
        )
    if facts.end_of_turn_trained is False:
        token = facts.end_of_turn or ""
        if config.trainable_tokens == "auto":
            config = config.model_copy(update={"trainable_tokens": "end_of_turn"})
        if config.trainable_tokens == "end_of_turn":
            message = N_(
                "%(token)s, which ends an answer, was never trained in this base model: its row is trained too."
            )
            notes.append(Sentence.of(message, token=token))
    unlearnt = untrained_end(config, facts)
    return Fitted(config, notes, [unlearnt] if unlearnt else [])


def untrained_end(config: TrainingConfig, facts: ModelFacts) -> Sentence | None:
    """What is said where neither the base model nor this config trains the token that ends an answer."""
    if facts.end_of_turn_trained is not False or config.trainable_tokens != "none":
        return None
    message = N_(
        "%(token)s, which ends an answer, was never trained in this base model and will not be: the tuned model "
        "is not going to stop."
    )
    return Sentence.of(message, token=facts.end_of_turn or "")
