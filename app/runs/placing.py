"""Where a run may be trained, as its doors know it: what its wish for a device leaves of what is here and of what workers have."""

from dataclasses import dataclass, replace

from sqlmodel import Session

from app.jobs.devices import CPU, Devices, WorkerDevice
from app.jobs.workers import every_device
from app.runs.backends import Backends
from app.runs.device import Device, Machine


@dataclass(frozen=True)
class Place:
    """What is estimated for: of all devices that a run may get the one with the least memory. `are_alike`: the others have as much;
    `is_told`: a living worker has it.
    """

    device: Device
    are_alike: bool
    is_told: bool


def placed(session: Session, backends: Backends, wish: str) -> Backends:
    """The same with what is known of the devices that a run with this wish may get: those of living workers where there are any,
    which may be on other machines, else this machine's.
    """
    there = Devices(devices=every_device(session)).fitting(wish)
    if there:
        most = max(one.processes for one in there)
        return replace(
            backends, on_cpu=all(one.name == CPU for one in there), knows_device=True, most_processes=most
        )
    if wish == CPU:
        return replace(backends, on_cpu=True, knows_device=True)
    return backends


def place_for(session: Session, machine: Machine, wish: str) -> Place | None:
    """Where a run with this wish is trained: on what living workers have, else on what a worker here would have. None where neither has
    such a device.
    """
    told = Devices(devices=every_device(session)).fitting(wish)
    here = {one.key: one for one in machine.devices}
    found = [here.get(one.key) or _elsewhere(one) for one in told] or machine.fitting(wish)
    if not found:
        return None
    least = min(found, key=lambda one: one.memory)
    return Place(least, all(one.memory == least.memory for one in found), is_told=bool(told))


def _elsewhere(one: WorkerDevice) -> Device:
    """A worker's device on another machine. What an older worker does not tell is taken as of a device of these days."""
    memory = one.memory_each or one.memory // max(1, len(one.gpus))
    has_bf16 = one.name != CPU if one.has_bf16 is None else one.has_bf16
    return Device(one.title, memory, memory, one.cores, has_bf16, one.name, one.key, knows_free=False)
