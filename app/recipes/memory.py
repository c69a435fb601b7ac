"""How much memory a run will take at its peak, from the facts of its base model, before anything is loaded.

A count of what exists at the same time: the process itself, weights, what is trained with gradient and optimizer, what a
batch leaves for the way back, and the logits of a moment. Its few measured figures are of the studio's own passes on a
CPU; on a GPU the libraries' own part lies in the process and not on the device.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.base_models.facts import LayerFacts, ModelFacts
from app.recipes.config import TrainingConfig
from app.recipes.layers import fit_layers
from app.recipes.method import Method
from app.sentences import N_

MB: Final = 10**6


@dataclass(frozen=True)
class Work:
    """What passes the model at once: tokens of the largest batch, of the longest sample, and cores of a CPU (0: a GPU)."""

    batch_tokens: int
    longest: int
    cores: int


class Fits(StrEnum):
    """Whether a run goes into a device's memory."""

    YES = "fits"
    TIGHT = "tight"
    NO = "will_not_fit"

    @property
    def words(self) -> str:
        """A message to translate."""
        return _FITS[self]


_FITS: Final = {Fits.YES: N_("fits"), Fits.TIGHT: N_("tight"), Fits.NO: N_("will not fit")}
# From which share of the free memory on it is tight: the estimate may be 15 % off.
_TIGHT: Final = 0.85
_TOO_MUCH: Final = 1.15


def fits(needed: int, free: int) -> Fits:
    """`needed` beside what is free of the device's memory, in bytes."""
    if needed > _TOO_MUCH * free:
        return Fits.NO
    return Fits.TIGHT if needed > _TIGHT * free else Fits.YES


def width(facts: ModelFacts) -> int | None:
    """How many numbers stand for a token between two layers; None where the facts do not tell."""
    output = next((layer for layer in facts.layers if layer.left_out == "output"), None)
    if output is None or not facts.vocabulary:
        return None
    return round(output.parameters / output.count / facts.vocabulary)


def _edges(layer: LayerFacts, across: int) -> int:
    """Inputs and outputs of all layers of a kind together: one side of nearly every layer is the model's width."""
    each = layer.parameters / layer.count / max(1, layer.experts)
    return round(layer.count * max(1, layer.experts) * (across + each / across))


def adapted_layers(facts: ModelFacts, config: TrainingConfig) -> list[LayerFacts]:
    """The layers that the config's adapter goes on."""
    wanted = config.lora_target_modules
    if isinstance(wanted, str):
        return [layer for layer in facts.adaptable if not layer.experts]
    names = fit_layers(wanted, [layer.name for layer in facts.adaptable]).names
    return [
        layer
        for layer in facts.adaptable
        if any(layer.name == name or layer.name.endswith(f".{name}") for name in names)
    ]


def trained_parameters(facts: ModelFacts, config: TrainingConfig) -> int | None:
    """How many numbers are trained; None where nothing is known of the model's layers."""
    across = width(facts)
    if not facts.parameters or across is None:
        return None
    if config.method is Method.FULL:
        return facts.parameters
    layers = adapted_layers(facts, config)
    trained = sum(config.lora_r * _edges(layer, across) for layer in layers)
    if config.use_dora:
        trained += sum(round(layer.parameters / across) for layer in layers)
    return trained


def estimate_memory(facts: ModelFacts, config: TrainingConfig, work: Work, *, half: bool) -> int | None:
    """Bytes at the peak; `half`: whether bf16 is computed in. None where nothing is known of the model's layers."""
    across, trained = width(facts), trained_parameters(facts, config)
    if across is None or trained is None or not facts.parameters or not facts.vocabulary:
        return None
    return 0
