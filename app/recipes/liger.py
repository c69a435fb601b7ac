"""Liger's kernels: the part of a training config that asks for them, and what of them is not installed here."""

from importlib import metadata
from importlib.util import find_spec
from typing import Final

from pydantic import BaseModel

from app.core.errors import Invalid
from app.recipes.setting import Section, setting
from app.sentences import N_

FIELD: Final = "use_liger_kernel"
# By the module that is imported, in the order in which they have to be there.
PACKAGES: Final = {"triton": "triton", "liger_kernel": "liger-kernel"}
_MISSING: Final = N_(
    "use_liger_kernel needs the package %(package)s beside the studio, which is not installed: run “pip install %(package)s” "
    "there, or set use_liger_kernel to false."
)

NO_GPU: Final = N_(
    "use_liger_kernel: Liger's kernels are written for GPUs, and this run is trained on a processor. Set use_liger_kernel to false, or "
    "device to a GPU where there is one."
)


class LigerFields(BaseModel):
    """Other people's kernels in place of the studio's own pieces."""

    # TRL's and transformers' name.
    use_liger_kernel: bool = setting(
        False,
        N_("Liger kernels"),
        N_(
            "Liger's kernels for norms, rotations, gated layers and the loss: on a GPU alone, with the package liger-kernel. "
            "They are tried on the run's own conversations first; the log says whether they are quicker than the studio's own."
        ),
        Section.DEVICE,
    )


def require_liger(*, on_cpu: bool) -> None:
    """Raises Invalid naming `use_liger_kernel` where there is no GPU, or a package has to be installed; nothing is loaded."""
    if on_cpu:
        raise Invalid(NO_GPU, field=FIELD)
    for module, package in PACKAGES.items():
        if find_spec(module) is None:
            raise Invalid(_MISSING, field=FIELD, package=package)


def version_of(package: str) -> str | None:
    """Of a package that is installed here."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
