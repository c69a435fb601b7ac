"""The part of a training config that says among how many processes a step's batches are shared."""

from typing import Final

from pydantic import BaseModel

from app.recipes.setting import Section, setting
from app.sentences import N_

MOST_PROCESSES: Final = 64


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
