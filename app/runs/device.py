"""What this machine has for training, told without loading torch, for estimates before a start.

Which of it a run may get, and what workers of other machines have, is `placing.py`'s.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from app.core.settings import Settings
from app.core.web import get_app_settings
from app.jobs.devices import CPU, Gpu, device_name, fitting, gpus, grouped, processor_key
from app.jobs.processor import this_processor


@dataclass(frozen=True)
class Device:
    """`memory` and what is `free` of it in bytes, for one process of a run; `cores` of a processor that training may use, 0 on a GPU.

    `name` and `key` are those by which jobs and workers mean it (cuda:1), `title` is for people. `free` is all of the memory where
    nobody here knows what is free (`knows_free`), on another machine.
    """

    title: str
    memory: int
    free: int
    cores: int
    has_bf16: bool
    name: str = CPU
    key: str = ""
    knows_free: bool = True


@dataclass(frozen=True)
class Machine:
    """`devices` are as a worker here would number them: GPUs, and the processor as the last one."""

    devices: tuple[Device, ...]

    @property
    def first(self) -> Device:
        """Where a run is begun that may run anywhere."""
        return self.devices[0]

    def fitting(self, wish: str) -> list[Device]:
        """Those that a run with this wish may get."""
        return fitting(self.devices, wish)


def machine_of(found: list[Gpu], gpus_each: int) -> Machine:
    """The machine with these GPUs, of which a run has so many together."""
    cpu = this_processor()
    processor = Device("CPU", cpu.memory, cpu.free, cpu.cores, cpu.has_bf16, CPU, processor_key())
    groups = grouped(found, gpus_each)
    return Machine((*(_card(number, group) for number, group in enumerate(groups)), processor))


def _card(number: int, group: list[Gpu]) -> Device:
    """Each process of a run has one GPU of the group, and the smallest decides what fits."""
    return Device(
        group[0].title,
        min(gpu.memory for gpu in group),
        min(gpu.free for gpu in group),
        0,
        all(gpu.has_bf16 for gpu in group),
        device_name(number),
        group[0].uuid,
    )


def this_machine(settings: Annotated[Settings, Depends(get_app_settings)]) -> Machine:
    """As it is now: the driver is asked."""
    return machine_of(gpus(), settings.gpus_per_run)


# Asked before a handler takes a connection.
ThisMachine = Annotated[Machine, Depends(this_machine)]
