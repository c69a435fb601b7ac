"""The part of a training config that says among how many processes a step's batches are shared, and what starts them."""

import re
from typing import Final

from pydantic import BaseModel, field_validator

from app.core.errors import Invalid
from app.recipes.setting import Section, setting
from app.sentences import N_

MOST_PROCESSES: Final = 64
_TOO_FEW_GPUS: Final = N_(
    "num_processes is %(size)d and a run has %(there)d GPUs at most here: each process needs one. Lower num_processes, or let a run "
    "have more of them: SFT_STUDIO_GPUS_PER_RUN says how many, where workers start."
)
_TOO_FEW_CORES: Final = N_(
    "num_processes is %(size)d and a run has %(there)d processor cores at most here: each process needs one."
)
_FILE_NAME: Final = re.compile(r"[\w-][\w.-]{0,99}\.(yaml|yml|json)", re.ASCII)


class ProcessFields(BaseModel):
    """Each process has a device of its own: a GPU, or a part of the processor's cores."""

    # Accelerate's name.
    num_processes: int = setting(
        1,
        N_("Processes"),
        N_(
            "Trains with so many processes, each on a GPU of its own, or on a CPU with a part of the cores. A step "
            "takes batch × accumulation × processes samples; the losses are those of one process with as much more "
            "accumulation."
        ),
        Section.DEVICE,
        ge=1,
        le=MOST_PROCESSES,
    )
    # What `accelerate launch` calls --config_file. A name and no path: which files there are is for whoever runs the server.
    accelerate_config: str = setting(
        "",
        N_("Config of accelerate"),
        N_(
            "A file of accelerate's own, for FSDP, DeepSpeed or several processes, by its name in the folder that "
            "SFT_STUDIO_ACCELERATE_CONFIGS names. TRL is then started with it (backend=trl), and num_processes is the "
            "file's. Empty: none."
        ),
        Section.DEVICE,
    )

    @field_validator("accelerate_config")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        name = value.strip()
        if name and not _FILE_NAME.fullmatch(name):
            raise ValueError(
                N_("accelerate_config must be the name of a file without its folder, such as fsdp.yaml.")
            )
        return name


def require_room(processes: int, there: int, *, on_gpus: bool) -> None:
    """Raises Invalid naming `num_processes` where a run has fewer GPUs, or cores, than it has processes."""
    if processes > there:
        message = _TOO_FEW_GPUS if on_gpus else _TOO_FEW_CORES
        raise Invalid(message, field="num_processes", size=processes, there=there)
