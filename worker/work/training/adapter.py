"""The LoRA adapter on a base model: which layers it goes on, and what is said of those that it leaves out."""

import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from peft import LoraConfig, get_peft_model
from peft.tuners.lora.layer import LoraLayer, ParamWrapper
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

from app.base_models.facts import LeftOut
from app.core.errors import Invalid
from app.jobs.events import Emit
from app.recipes.config import TrainingConfig
from app.recipes.layers import fit_layers
from app.sentences import N_, FailureCode
from worker.work.new_tokens import trained_rows
from worker.work.protocol import JobFailed, log
from worker.work.training.compiled import switch_on_for
from worker.work.training.gated import fuse_gated_products
from worker.work.training.lora import fuse_lora_layers
from worker.work.training.modules import LayerKind, LinearModule, linear_modules
from worker.work.training.norm import fuse_rms_norms
from worker.work.training.rotary import fuse_rotations
from worker.work.training.weights import train_every_weight

ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class Reached:
    """Layers with an adapter and linear layers without one: last parts of names → how many layers."""

    adapted: dict[str, int]
    left_out: dict[str, int]


def add_adapter(
    model: Any, config: TrainingConfig, emit: Emit, *, end_of_turn_id: int | None = None
) -> tuple[Any, Reached]:
    """A fresh LoRA adapter on the frozen model, in fp32 whatever the base is in, and the layers that it is on.

    `end_of_turn_id` is the token whose row is trained too, where the config says so. Raises JobFailed where a layer
    that was asked for does not exist or cannot have an adapter.
    """
    layers = linear_modules(model)
    lora = lora_config(model, layers, config, emit)
    if config.trainable_tokens == "end_of_turn" and end_of_turn_id is not None:
        lora.trainable_token_indices = trained_rows(model, end_of_turn_id)
    try:
        adapted = get_peft_model(model, lora)
    except ValueError as error:
        raise JobFailed(
            FailureCode.TARGET_MODULES_MISSING,
            N_("lora_target_modules %(modules)s do not fit this base model: %(detail)s"),
            modules=str(config.lora_target_modules),
            detail=next(iter(str(error).splitlines()), "")[:300],
        ) from error
    if config.gradient_checkpointing:
        adapted.enable_input_require_grads()
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    if config.use_dora:
        log(
            emit,
            "info",
            N_("DoRA layers run in PEFT's own code, which is slower than the studio's for plain LoRA."),
        )
    fuse_lora_layers(adapted)
    fuse_rms_norms(adapted)
    fuse_gated_products(adapted)
    if switch_on_for(adapted):
        fuse_rotations(adapted)
    reached = what_was_reached(adapted, layers)
    tell(reached, emit)
    return adapted, reached


def prepare(
    model: Any, config: TrainingConfig, emit: Emit, *, end_of_turn_id: int | None = None
) -> tuple[Any, Reached]:
    """The model as the config trains it: with an adapter, or every weight of it. Raises JobFailed as `add_adapter`."""
    if config.use_peft:
        return add_adapter(model, config, emit, end_of_turn_id=end_of_turn_id)
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    return train_every_weight(model), Reached({}, {})


def lora_config(model: Any, layers: list[LinearModule], config: TrainingConfig, emit: Emit) -> LoraConfig:
    """The run's fields in PEFT's words."""
    modules, parameters = targets(layers, config, emit)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=modules,
        target_parameters=parameters or None,
        use_rslora=config.use_rslora,
        use_dora=config.use_dora,
    )
    if config.use_dora and adapts_parameters(model, lora):
        raise JobFailed(
            FailureCode.CONFIG_INVALID,
            N_(
                "This model keeps its experts in shared tensors, on which there is no DoRA: set use_dora to false, or "
                "lora_target_modules to layers that are no experts."
            ),
        )
    if config.lora_dropout and adapts_parameters(model, lora):
        lora.lora_dropout = 0.0
        log(
            emit,
            "warning",
            N_(
                "The adapter is trained without dropout (lora_dropout is 0): this model keeps its experts in shared "
                "tensors, on which LoRA has none."
            ),
        )
    return lora


def adapts_parameters(model: Any, lora: LoraConfig) -> bool:
    """Whether PEFT will adapt parameters that are no layer's, as it does for experts of some models by itself."""
    trial = copy.deepcopy(lora)
    convert_peft_config_for_transformers(trial, model, None)
    # It names them by the kind of model, of which one without experts has none.
    wanted = tuple(f".{name}" for name in trial.target_parameters or ())
    return any(f".{name}".endswith(wanted) for name, _ in model.named_parameters())


def targets(
    layers: list[LinearModule], config: TrainingConfig, emit: Emit
) -> tuple[str | list[str], list[str]]:
    """PEFT's target_modules and target_parameters."""
    may = [layer for layer in layers if layer.left_out is None]
    linear = [layer.name for layer in may if layer.kind is not LayerKind.EXPERTS]
    wanted = config.lora_target_modules
    if isinstance(wanted, str):
        # PEFT's own reading wherever it is ours too: it knows which models' experts count as layers.
        excluded = [layer for layer in layers if layer.left_out not in (None, LeftOut.OUTPUT)]
        return (linear if excluded else ALL_LINEAR), []
    try:
        fitted = fit_layers(wanted, [layer.name for layer in may])
    except Invalid as error:
        raise JobFailed(FailureCode.TARGET_MODULES_MISSING, error.sentence) from error
    for note in fitted.notes:
        log(emit, "info", note)
    closed = [layer.name for layer in layers if layer.left_out is not None]
    modules: list[str] = []
    parameters: list[str] = []
    for name in fitted.names:
        if not (found := _called(name, linear)):
            parameters.append(name)
        else:
            # PEFT would take every layer of this name, those of other towers too.
            modules += found if _called(name, closed) else [name]
    return modules, parameters


def _called(name: str, names: Iterable[str]) -> list[str]:
    return [found for found in names if found == name or found.endswith(f".{name}")]


def what_was_reached(adapted: Any, layers: list[LinearModule]) -> Reached:
    """Looked up in the model that came of it, not in what was asked for."""
    on = set()
    for name, module in adapted.get_base_model().named_modules():
        plain = name.replace(".base_layer", "")
        if isinstance(module, ParamWrapper):
            on.add(f"{plain}.{module.parameter_name}")
        elif isinstance(module, LoraLayer):
            on.add(plain)
    adapted_layers = [layer for layer in layers if layer.name in on]
    others = sorted(on - {layer.name for layer in layers})
    left_out = [layer.name for layer in layers if layer.name not in on]
    return Reached(counted([*(layer.name for layer in adapted_layers), *others]), counted(left_out))


def counted(names: Iterable[str]) -> dict[str, int]:
    """By the last part of a name, or two where experts have a name of their own."""
    return dict(Counter(_last(name) for name in names))


def _last(name: str) -> str:
    parts = name.split(".")
    inner = len(parts) > 1 and (parts[-2] in ("experts", "gate", "router") or parts[-1] == "weight")
    return ".".join(parts[-2:]) if inner else parts[-1]


def tell(reached: Reached, emit: Emit) -> None:
    log(
        emit,
        "info",
        N_("The adapter is on: %(adapted)s. Without one: %(left_out)s."),
        adapted=listed(reached.adapted),
        left_out=listed(reached.left_out),
    )


def listed(counts: dict[str, int]) -> str:
    """q_proj × 24, v_proj × 24."""
    return ", ".join(f"{name} × {count}" for name, count in counts.items()) or "–"
