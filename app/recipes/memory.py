"""How much memory a run will take at its peak, from the facts of its base model, before anything is loaded.

A count of what exists at the same time: the process itself, weights, what is trained with gradient and optimizer, what a
batch leaves for the way back, and the logits of a moment. Its few measured figures are of the studio's own passes on a
CPU, with the allocator that a child gets (`worker/parent/allocator.py`; with glibc's own QLoRA and DoRA took up to a third more). On a
GPU the libraries' own part lies in the process and not on the device, and nothing was measured. Liger's kernels keep, as ours do, the
inputs of norms and gated products and never whole logits; but the results, which ours make again (`again.py`), are kept with them, and
with PEFT's own layers, where a GPU's trial takes those. That is not counted: what was chosen is known after the start.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from app.base_models.facts import LayerFacts, ModelFacts
from app.recipes.config import TrainingConfig
from app.recipes.layers import fit_layers
from app.recipes.method import Method
from app.sentences import N_

MB: Final = 10**6


# Measured with the bundled model: interpreter, libraries and the allocator's spare memory.
_PROCESS: Final = 634 * MB
# Parameters of a model that computes in bf16 on a CPU, from which on its loops are compiled (worker/work/training/compiled.py): some
# dozen steps win that time back. The compiler stays in memory.
WORTH_COMPILING: Final = 20_000_000
_COMPILER: Final = 133 * MB
# The libraries' own on a GPU.
_ON_GPU: Final = 600 * MB
# Bytes that are kept for the way back of each input and output of a layer: so many, and so many for each byte of a number.
_KEPT: Final = {Method.LORA: (0.0, 0.9), Method.QLORA: (4.4, 0.78), Method.FULL: (2.75, 0.1)}
# Measured with bf16 besides, where weights are unpacked from 4 bits: so much of each input and output, and of each number that stays
# unpacked.
_HALF_UNPACKED: Final = (0.4, 4)
# Of that, what PEFT's own dropout keeps, for each byte of a number; the studio's, of plain LoRA, keeps next to nothing.
_DROPPED: Final = {Method.QLORA: 0.82}
# DoRA forms the weights of each adapted layer in fp32, so many of all at a time in a step and while it is tried, and keeps more of
# each output.
_FORMED_BY_DORA: Final = 0.3
_FORMED_IN_TRIAL: Final = 0.5
_KEPT_BY_DORA: Final = 2.9
# PEFT computes DoRA in the adapter's own fp32. Of weights in bf16 each layer's copy is then kept until the way back, where dropout
# lets it compute the layer's output once more.
_COPIED_FOR_DORA: Final = 1.0
_COMPUTED_BY_DORA: Final = 4
# torch keeps the scores of its attention in fp32 on a CPU, so many times; of a head of this width.
_SCORES: Final = {Method.LORA: 0.0, Method.QLORA: 0.0, Method.FULL: 1.0}
_HEAD: Final = 64
# Bytes of a number in bf16.
_HALF: Final = 2
# NF4 with double quantisation: half a byte a number, and its scales.
_FOUR_BITS: Final = 0.53
# Of a trained number: AdamW's two moments in fp32, and what takes less.
_MOMENTS: Final = {"adamw_8bit": 2, "paged_adamw_8bit": 2, "sgd": 0, "adafactor": 1}
_ADAMW: Final = 8
# Of what is kept for the way back, samples that are tried leave so much; their logits are kept in fp32, so many times.
_TRIED: Final = 0.75
_TRIED_LOGITS: Final = 2
# The largest piece of logits that exists at a time (worker/work/training/loss.py).
_LOGITS: Final = 256 * 49_152


@dataclass(frozen=True)
class Work:
    """What passes the model at once: tokens of the largest batch, of the longest and of the shortest sample, and cores of a CPU
    (0: a GPU).
    """

    batch_tokens: int
    longest: int
    cores: int
    shortest: int = 0


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


def moments(optim: str, *, on_cpu: bool) -> int:
    """Bytes that an optimizer keeps of each trained number. On a CPU plain AdamW takes the place of those that need a GPU."""
    replaced = on_cpu and ("8bit" in optim or "paged" in optim)
    return _ADAMW if replaced else _MOMENTS.get(optim, _ADAMW)


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
    """Bytes at the peak, of one GPU or of the whole machine; `half`: whether bf16 is computed in.

    None where nothing is known of the model's layers.
    """
    across, trained = width(facts), trained_parameters(facts, config)
    if across is None or trained is None or not facts.parameters or not facts.vocabulary:
        return None
    process = _PROCESS + (_COMPILER if _has_loops_compiled(facts, config, half=half) else 0)
    if work.cores:
        # The processes share the cores, and each has all the rest for itself.
        work = replace(work, cores=max(1, work.cores // config.num_processes))
    number = _HALF if half else 4
    # Of every number that is trained: itself, in fp32, and its gradient.
    needed = _weights(facts, config, number) + trained * (4 + 4)
    if config.method is Method.FULL:
        # The gradient of the first and the last layer.
        needed += 2 * 4 * across * facts.vocabulary
    needed += max(_step(facts, config, work, trained, number, half=half), _trial(facts, config, work, number))
    return (needed + process) * config.num_processes if work.cores else needed + _ON_GPU


def _has_loops_compiled(facts: ModelFacts, config: TrainingConfig, *, half: bool) -> bool:
    return half and config.method is not Method.FULL and (facts.parameters or 0) >= WORTH_COMPILING


def _step(
    facts: ModelFacts, config: TrainingConfig, work: Work, trained: int, number: int, *, half: bool
) -> int:
    """Bytes of a step beside what is always there: the optimizer's, and what the largest batch leaves for the way back."""
    needed = trained * moments(config.optim, on_cpu=work.cores > 0)
    kept = _kept_per_token(facts, config, number)
    if not config.lora_dropout and not config.gradient_checkpointing:
        across = width(facts) or 1
        edges = sum(_edges(layer, across) for layer in facts.layers if layer.left_out != "output")
        kept -= _DROPPED.get(config.method, 0.0) * number * edges
    needed += round(work.batch_tokens * kept)
    copied = _COPIED_FOR_DORA if half and config.lora_dropout else 0.0
    needed += _formed(facts, config, _FORMED_BY_DORA + copied)
    if work.cores and not half:
        needed += _scores(facts, config, work)
    if config.method is Method.FULL:
        # The gradient of a piece of the logits before it is added.
        needed += _pieces(work, facts) * 3 * 4
    elif work.cores > 1 and shares_out_samples(config):
        # Each core adds up gradients of its own.
        needed += (min(config.per_device_train_batch_size, work.cores) - 1) * 4 * trained
    return needed


def _trial(facts: ModelFacts, config: TrainingConfig, work: Work, number: int) -> int:
    """The same of what is tried before the first step: the two shortest samples with all their logits, nothing computed anew."""
    as_it_is = config.model_copy(update={"gradient_checkpointing": False})
    kept = _TRIED * _kept_per_token(facts, as_it_is, number) + _TRIED_LOGITS * 4 * (facts.vocabulary or 0)
    return round(2 * work.shortest * kept) + _formed(facts, config, _FORMED_IN_TRIAL)


def _formed(facts: ModelFacts, config: TrainingConfig, times: float) -> int:
    """Weights of adapted layers that DoRA forms."""
    if not config.use_dora:
        return 0
    return round(times * 4 * sum(layer.parameters for layer in adapted_layers(facts, config)))


def _weights(facts: ModelFacts, config: TrainingConfig, number: int) -> int:
    """Of the model itself; those of a full fine-tune are counted with what is trained."""
    assert facts.parameters is not None
    if config.method is Method.FULL:
        return 0
    if config.method is Method.LORA:
        return facts.parameters * number
    packed = sum(layer.parameters for layer in facts.layers if layer.left_out != "output")
    besides = _HALF_UNPACKED[1] if number == _HALF else 0
    return round(packed * _FOUR_BITS) + (facts.parameters - packed) * (number + besides)


def _kept_per_token(facts: ModelFacts, config: TrainingConfig, number: int) -> float:
    """Bytes of a token that are kept for the way back; `number`: bytes of a number that is computed with."""
    across = width(facts) or 1
    always, by_size = _KEPT[config.method]
    edges = sum(_edges(layer, across) for layer in facts.layers if layer.left_out != "output")
    if config.method is Method.QLORA and number == _HALF:
        always += _HALF_UNPACKED[0]
    kept = edges * (always + by_size * number)
    if config.gradient_checkpointing:
        # The input of each block, and one block computed anew.
        blocks = max((layer.count for layer in facts.layers), default=1)
        return blocks * across * number + kept / blocks
    if config.use_dora:
        outputs = sum(layer.parameters / across for layer in adapted_layers(facts, config))
        kept += _KEPT_BY_DORA * outputs * _COMPUTED_BY_DORA
    return kept


def _scores(facts: ModelFacts, config: TrainingConfig, work: Work) -> int:
    """Of all conversations of a batch in all blocks, or in one that is computed anew."""
    blocks = 1 if config.gradient_checkpointing else max((layer.count for layer in facts.layers), default=1)
    return round(
        _SCORES[config.method] * blocks * (width(facts) or 0) / _HEAD * work.batch_tokens * work.longest * 4
    )


def shares_out_samples(config: TrainingConfig) -> bool:
    """Whether each core of a CPU may train whole samples of its own, as `worker/work/training/lanes.py` decides, or all share
    each operation."""
    alone = config.load_in_4bit or config.gradient_checkpointing or not config.use_peft
    return not alone and not (config.use_dora and config.lora_dropout > 0)


def _pieces(work: Work, facts: ModelFacts) -> int:
    """Logits that exist at a time."""
    return min(work.batch_tokens * (facts.vocabulary or 0), _LOGITS)
