"""Where the other trainers are installed on this machine, each in an environment of its own, told without starting them."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from app.core.settings import Settings
from app.interop.handing import TOOLS, Tool

# Where an environment keeps what is installed, as venv, uv, conda and a system's own Python do.
_LIBRARIES: Final = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "Lib/site-packages")
_PROGRAMS: Final = ("bin", "Scripts")
_PYTHONS: Final = ("python", "python3", "python.exe")


@dataclass(frozen=True)
class Environment:
    """A tool that can be started: its interpreter, and the version that is installed there; whether DeepSpeed and Liger's
    kernels are, too.
    """

    tool: Tool
    python: Path
    version: str
    has_deepspeed: bool = False
    has_liger: bool = False


def setting_of(tool: Tool) -> str:
    """The environment variable that names where the tool is."""
    return f"SFT_STUDIO_{tool.upper()}_ENV"


def named_place(settings: Settings, tool: Tool) -> Path | None:
    """What the setting says."""
    place: Path | None = getattr(settings, f"{tool}_env")
    # An empty variable names nothing.
    return None if place == Path() else place


def find_environment(settings: Settings, tool: Tool) -> Environment | None:
    """The tool's environment; None where it is not installed in what the setting names."""
    place = named_place(settings, tool)
    if place is None and tool != "trl":
        return None
    python = Path(sys.executable) if place is None else _python(place.expanduser().absolute())
    version = _version(tool, python) if python else None
    if python is None or version is None:
        return None
    return Environment(
        tool,
        python,
        version,
        has_deepspeed=_version("deepspeed", python) is not None,
        has_liger=_version("liger-kernel", python) is not None,
    )


def find_environments(settings: Settings) -> dict[Tool, Environment]:
    """Every tool that is found."""
    found = {tool: find_environment(settings, tool) for tool in TOOLS}
    return {tool: one for tool, one in found.items() if one is not None}


def _python(place: Path) -> Path | None:
    """The interpreter, its folder and the environment's folder are all understood."""
    folders = (place, *(place / name for name in _PROGRAMS))
    candidates = (place, *(folder / name for folder in folders for name in _PYTHONS))
    return next((path for path in candidates if path.is_file()), None)


def _version(package: str, python: Path) -> str | None:
    # Not resolved: an environment's Python is a link to another's.
    folders = [str(folder) for folder in _library_folders(python.parent.parent)]
    return next((one.version for one in metadata.distributions(name=package, path=folders)), None)


def _library_folders(environment: Path) -> Iterator[Path]:
    for pattern in _LIBRARIES:
        yield from sorted(environment.glob(pattern))
