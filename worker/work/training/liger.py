"""Liger's kernels in place of norms, rotations, gated products and loss, where a run asks for them on a GPU.

Liger's own function for the kind of model puts them on; the loss stays a sum over the trained tokens that masking
decided. Whether they compute what the model does is tried in `trial.py`, and until then all can be taken off again.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import torch

from app.core.errors import Invalid
from app.recipes.liger import require_liger
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed
from worker.work.training.loss import cross_entropy_sum

_NO_KERNELS: Final = N_(
    "Liger has no kernels for a model of the kind %(kind)s: set use_liger_kernel to false, or choose another base model."
)
_PATCHES: Final = "liger_kernel.transformers.monkey_patch"
_OPERATIONS: Final = "liger_kernel.transformers.functional"


def require_liger_on(device: torch.device) -> None:
    """Raises JobFailed, before a model is loaded, where the kernels cannot run."""
    try:
        require_liger(on_cpu=device.type != "cuda")
    except Invalid as error:
        failed = JobFailed.of(error)
        failed.code = FailureCode.CONFIG_INVALID
        raise failed from error


def require_kernels_for(model: Any) -> None:
    """Raises JobFailed where Liger does not know transformers' model, which is one without an adapter."""
    if model.config.model_type not in import_module(_PATCHES).MODEL_TYPE_TO_APPLY_LIGER_FN:
        raise JobFailed(FailureCode.CONFIG_INVALID, _NO_KERNELS, kind=model.config.model_type)


class LigerKernels:
    """Puts the kernels on transformers' model, over whatever stands in for its modules, and takes them off again."""

    def __init__(self, model: Any) -> None:
        self.model = model
        code = {type(module).__module__ for module in model.modules()}
        code = {name for name in code if name.startswith("transformers.")}
        # What modules have of their own, such as forwards in place of their class's, and the functions that their code calls.
        self._before = [(vars(owner), dict(vars(owner))) for owner in (*model.modules(), *_modules_of(code))]

    def put_on(self) -> None:
        """By Liger's function for this kind of model, all but its loss, which would take labels of its own."""
        import_module(_PATCHES)._apply_liger_kernel_to_instance(
            self.model, cross_entropy=False, fused_linear_cross_entropy=False
        )
        # The classes that it exchanges are for models that are loaded later.
        for names, before in self._before:
            names.update({name: value for name, value in before.items() if isinstance(value, type)})

    def take_off(self) -> None:
        """As it was before."""
        for names, before in self._before:
            for name in names.keys() - before.keys():
                del names[name]
            names.update(before)


def _modules_of(names: set[str]) -> list[ModuleType]:
    return [sys.modules[name] for name in sorted(names)]


def liger_cross_entropy_sum(
    hidden: torch.Tensor, head: torch.nn.Module, targets: torch.Tensor
) -> torch.Tensor:
    """As `cross_entropy_sum`, by Liger's fused output layer and loss; by the studio's own where the layer is no plain one."""
    if type(head) is not torch.nn.Linear or hidden.shape[0] == 0:
        return cross_entropy_sum(hidden, head, targets)
    fused = import_module(_OPERATIONS).liger_fused_linear_cross_entropy
    loss: torch.Tensor = fused(hidden, head.weight, targets, head.bias, reduction="sum")
    return loss
