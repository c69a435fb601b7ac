"""Where a run may be trained, as its doors know it: what its wish for a device leaves of what is here and of what workers have."""

from dataclasses import replace

from sqlmodel import Session

from app.jobs.devices import CPU, Devices
from app.jobs.workers import every_device
from app.runs.backends import Backends
from app.runs.device import Device


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


def device_for(device: Device, wish: str) -> Device:
    """What is estimated for: this machine's processor where the run has to be trained on one."""
    return device.processor if wish == CPU and device.processor is not None else device
