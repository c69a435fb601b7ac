"""How the benchmarks measure: in alternation, by the median, and with the machine named beside the figures."""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line of a table; `figures` are cells in the order of the table's columns."""

    name: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Goal:
    """`found` against `wanted`: told beside the figures, never asserted."""

    what: str
    found: float
    wanted: float
    at_most: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.found <= self.wanted if self.at_most else self.found >= self.wanted


@dataclass(frozen=True)
class Result:
    """What one benchmark found: a table, what exactly was compared, and its goals. `raw` goes to --json."""

    name: str
    columns: tuple[str, ...]
    rows: list[Row]
    compared: str
    goals: list[Goal]
    raw: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    packages: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        goals = [{**asdict(goal), "met": goal.met} for goal in self.goals]
        return {
            "compared": self.compared,
            "figures": self.raw,
            "goals": goals,
            "notes": self.notes,
            "packages": versions(self.packages),
        }


def alternate(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall seconds of each way, one after another in every round, after one round that is not counted.

    What is loaded already is kept from the garbage collector, which would walk all of torch's objects in whichever
    way happens to call it.
    """
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    gc.collect()
    gc.freeze()
    try:
        for _ in range(rounds):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - began)
    finally:
        gc.unfreeze()
    return seconds


def median(values: list[float]) -> float:
    return statistics.median(values)


def ratio(ours: list[float], peer: list[float]) -> float:
    """How many times as long the peer takes: the median over the rounds, each against its own neighbour."""
    return statistics.median(theirs / own for own, theirs in zip(ours, peer, strict=True))


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def machine() -> dict[str, Any]:
    """Cores this process may use, the processor's name, memory, Python and how busy the machine is."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    text = cpuinfo.read_text("utf-8")
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    described = {name.strip(): value.strip() for name, value in fields.items()}
    name = described.get("model name", platform.machine())
    number = described.get("model")
    wide = [
        flag for flag in ("avx2", "avx512_bf16", "amx_bf16") if flag in described.get("flags", "").split()
    ]
    return f"{name}{f' (model {number})' if number else ''}, {' '.join(wide) or 'no avx2'}"


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions; a package that is not there is said to be so."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
