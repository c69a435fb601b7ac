"""What a worker trains on, told without loading torch, and which of it a job may ask for."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Final, Protocol, TypeVar

from pydantic import BaseModel, Field

from app.core.errors import Invalid
from app.core.stored_models import StoredModel
from app.sentences import N_

ANY: Final = "any"
CPU: Final = "cpu"
CUDA: Final = "cuda"
VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_WISH: Final = re.compile(r"any|cpu|cuda(:\d{1,3})?")
_FIELDS: Final = "index,uuid,name,memory.total,memory.free"
# Drivers before 2021 do not know it, and then answer nothing at all.
_CAPABILITY: Final = "compute_cap"
_CAPABILITY_SHAPE: Final = re.compile(r"(\d+)\.(\d+)")
# The first generation with units for bf16 (Ampere).
_HAS_BF16: Final = (8, 0)
_AS_CSV: Final = ("--format=csv,noheader,nounits",)
# How the identity of a part of a GPU begins, and the two kinds of lines in which the driver lists them.
_PART: Final = "MIG-"
_CARD_LINE: Final = re.compile(r"GPU \d+: .*\(UUID: (GPU-[\w-]+)\)")
_PART_LINE: Final = re.compile(r"\s+MIG (\S*?(\d+)gb\S*)\s.*\(UUID: (MIG-[\w/-]+)\)")
_MIB: Final = 2**20
_ASK_SECONDS: Final = 10


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver tells of it; `memory` and what is `free` of it in bytes; its generation, where it is told."""

    index: int
    uuid: str
    title: str
    memory: int
    free: int
    capability: tuple[int, int] | None = None

    @property
    def number(self) -> str | None:
        """As CUDA counts it; a part of a GPU has none, and goes by its identity alone."""
        return None if self.uuid.startswith(_PART) else str(self.index)

    @property
    def has_bf16(self) -> bool:
        """Whether it has units for bf16; one of unknown age is taken to be of these days."""
        return self.capability is None or self.capability >= _HAS_BF16


class WorkerDevice(BaseModel):
    """Something to train on: `name` is cpu or cuda:0, as jobs ask for it; `memory` in bytes, `cores` 0 on a GPU.

    `key` is the same for every worker that means this device: a GPU's own identity, or the machine's name. Several GPUs that one
    run has together are one device, with the identities of all in `gpus` and the first one's as key.
    """

    name: str
    title: str
    memory: int
    cores: int = 0
    key: str
    gpus: list[str] = Field(default_factory=list)
    # What a process of a run has of it: of several GPUs the smallest. 0 and None of a worker from before they were told.
    memory_each: int = 0
    has_bf16: bool | None = None

    @property
    def processes(self) -> int:
        """How many processes of one run have room: each takes a GPU, or a core of a processor."""
        return self.cores or max(1, len(self.gpus))


class Named(Protocol):
    """A device by the name that jobs ask for."""

    @property
    def name(self) -> str: ...


NamedT = TypeVar("NamedT", bound=Named)


def fitting(devices: Sequence[NamedT], wish: str) -> list[NamedT]:
    """Those that a job with this wish may run on. One that may run anywhere runs on a GPU where there is one."""
    gpus = [one for one in devices if one.name != CPU]
    if wish == ANY:
        return gpus or list(devices)
    if wish == CUDA:
        return gpus
    return [one for one in devices if one.name == wish]


@dataclass(frozen=True)
class Slot:
    """Room for one job on a device."""

    device: str
    key: str


class Devices(StoredModel):
    """All that a worker has, and how many jobs it runs on each at a time."""

    schema_version: int = 1
    devices: list[WorkerDevice] = Field(default_factory=list)
    jobs_each: int = 1

    def fitting(self, wish: str) -> list[WorkerDevice]:
        """Those that a job may run on. One that may run anywhere runs on a GPU where there is one."""
        return fitting(self.devices, wish)

    def slots(self, wish: str) -> list[Slot]:
        """The room for such a job, taken or not: first one job on each device."""
        fitting = self.fitting(wish)
        return [Slot(one.name, f"{one.key}#{number}") for number in range(self.jobs_each) for one in fitting]

    def visible(self, device: str) -> dict[str, str]:
        """What the environment of a job on this device says, so that it sees no other GPU."""
        if not any(one.name != CPU for one in self.devices):
            return {}
        mine = next((one for one in self.devices if one.name == device != CPU), None)
        return {VISIBLE: ",".join(mine.gpus or [mine.key]) if mine else ""}


def parse_wish(text: str) -> str:
    """Where a job may run: any, cpu, cuda or cuda:1. Raises Invalid for anything else."""
    wish = text.strip().lower() or ANY
    if not _WISH.fullmatch(wish):
        raise Invalid(
            N_("%(field)s: “%(value)s” is none. Use any, cpu, cuda, or one GPU such as cuda:1."),
            field="device",
            value=text[:40],
        )
    return wish


def gpus() -> list[Gpu]:
    """The GPUs that the installed torch can use, in the order in which a process here counts them; free memory as of now."""
    tool = shutil.which("nvidia-smi")
    if tool is None or _torch_is_for_cpus():
        return []
    found = read_gpus(_told_by(tool, f"--query-gpu={_FIELDS},{_CAPABILITY}", *_AS_CSV))
    found = found or read_gpus(_told_by(tool, f"--query-gpu={_FIELDS}", *_AS_CSV))
    visible = os.environ.get(VISIBLE)
    if visible and _PART in visible:
        found += read_parts(_told_by(tool, "-L"), found)
    return visible_gpus(found, visible)


def _told_by(tool: str, *options: str) -> str:
    try:
        # Where one GPU is lost it fails, and tells of the others all the same.
        told = subprocess.run(
            [tool, *options], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout


def read_gpus(told: str) -> list[Gpu]:
    """GPUs from lines of `nvidia-smi`; a line that is none, such as one of a driver's failure, is passed over."""
    found = []
    for line in told.splitlines():
        parts = [part.strip() for part in line.split(",")]
        capability = _CAPABILITY_SHAPE.fullmatch(parts[-1])
        if capability or parts[-1].strip("[]") == "N/A":
            parts.pop()
        if len(parts) < 5:
            continue
        index, uuid, *name, total, free = parts
        if index.isdigit() and total.isdigit() and free.isdigit():
            generation = (int(capability[1]), int(capability[2])) if capability else None
            memory, left = int(total) * _MIB, int(free) * _MIB
            found.append(Gpu(int(index), uuid, ", ".join(name), memory, left, generation))
    return found


def read_parts(told: str, whole: list[Gpu]) -> list[Gpu]:
    """The parts that GPUs are split into (MIG), from `nvidia-smi -L`: each below the GPU that it is of. Their names say their memory, and
    nothing says what of it is free.
    """
    found: list[Gpu] = []
    owner: Gpu | None = None
    for line in told.splitlines():
        if card := _CARD_LINE.match(line):
            owner = next((gpu for gpu in whole if gpu.uuid == card[1]), None)
        elif owner is not None and (part := _PART_LINE.match(line)):
            memory = int(part[2]) * 2**30
            title = f"{owner.title} MIG {part[1]}"
            found.append(Gpu(owner.index, part[3], title, memory, memory, owner.capability))
    return found


def visible_gpus(found: list[Gpu], visible: str | None) -> list[Gpu]:
    """Those that CUDA_VISIBLE_DEVICES leaves, in its order; as CUDA does, none after an entry that is no GPU."""
    if visible is None:
        return found
    left: list[Gpu] = []
    for entry in visible.split(","):
        name = entry.strip()
        one = next((gpu for gpu in found if name and (name == gpu.number or gpu.uuid.startswith(name))), None)
        if one is None:
            break
        left.append(one)
    return left


def these_devices(jobs_each: int, gpus_each: int = 1) -> Devices:
    """What this machine has; so many GPUs are one device (all, where there are fewer), and what does not fill another one is
    left alone.
    """
    # Here and not above: the tables of jobs are loaded before the server answers, and it is asked by workers.
    from app.jobs.processor import this_processor

    has = this_processor()
    cpu = WorkerDevice(
        name=CPU,
        title="CPU",
        memory=has.memory,
        cores=has.cores,
        key=processor_key(),
        memory_each=has.memory,
        has_bf16=has.has_bf16,
    )
    cards = [_device_of(number, group) for number, group in enumerate(grouped(gpus(), gpus_each))]
    return Devices(devices=[*cards, cpu], jobs_each=jobs_each)


def processor_key() -> str:
    """The same for every worker of this machine."""
    return f"{socket.gethostname()}/{CPU}"[:100]


def device_name(number: int) -> str:
    """What jobs call the GPUs of a machine, or groups of them, in their order."""
    return f"{CUDA}:{number}"


def grouped(found: list[Gpu], gpus_each: int) -> list[list[Gpu]]:
    """GPUs as runs have them, so many together (all, where there are fewer); what does not fill another group is left alone."""
    each = min(gpus_each, max(1, len(found)))
    return [found[at : at + each] for at in range(0, len(found) - each + 1, each)]


def _device_of(number: int, group: list[Gpu]) -> WorkerDevice:
    titles = " + ".join(dict.fromkeys(gpu.title for gpu in group))
    return WorkerDevice(
        name=device_name(number),
        title=f"{len(group)} × {titles}" if len(group) > 1 else titles,
        memory=sum(gpu.memory for gpu in group),
        key=group[0].uuid,
        gpus=[gpu.uuid for gpu in group] if len(group) > 1 else [],
        memory_each=min(gpu.memory for gpu in group),
        has_bf16=all(gpu.has_bf16 for gpu in group),
    )


@cache
def _torch_is_for_cpus() -> bool:
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return True
