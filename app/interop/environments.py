"""Where the other trainers are installed on this machine, each in an environment of its own, told without starting them."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from app.core.errors import Invalid
from app.core.settings import Settings
from app.interop.handing import COMMANDS, TOOL_NAMES, TOOLS, Tool
from app.sentences import N_

# Where an environment keeps what is installed, as venv, uv, conda and a system's own Python do.
_LIBRARIES: Final = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "Lib/site-packages")
_PROGRAMS: Final = ("bin", "Scripts")
_PYTHONS: Final = ("python", "python3", "python.exe")
NO_PROGRAM: Final = N_(
    "%(tool)s cannot be started: %(program)s is missing, or was made for an environment that has been moved since. Install %(tool)s there "
    "anew, or name another environment in %(setting)s."
)
# The system reads no more of a script's first line.
_FIRST_LINE: Final = 256


@dataclass(frozen=True)
class Environment:
    """A tool that is installed: its interpreter, and the version that is installed there; whether DeepSpeed and Liger's
    kernels are, too. `broken` is the program that would start it where that cannot be run.
    """

    tool: Tool
    python: Path
    version: str
    has_deepspeed: bool = False
    has_liger: bool = False
    broken: Path | None = None

    def require_program(self) -> None:
        """Raises Invalid naming `backend` where the tool cannot be started."""
        if self.broken is not None:
            name, program, setting = TOOL_NAMES[self.tool], str(self.broken), setting_of(self.tool)
            raise Invalid(NO_PROGRAM, field="backend", tool=name, program=program, setting=setting)


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
        broken=_broken_program(tool, python),
    )


def program_beside(python: Path, name: str) -> Path:
    """The program of an environment that a command's first word means. Not every environment has a `python` beside its python3."""
    return python if name == "python" else python.parent / name


def find_environments(settings: Settings) -> dict[Tool, Environment]:
    """Every tool that is found."""
    found = {tool: find_environment(settings, tool) for tool in TOOLS}
    return {tool: one for tool, one in found.items() if one is not None}


def _python(place: Path) -> Path | None:
    """The interpreter, its folder and the environment's folder are all understood."""
    folders = (place, *(place / name for name in _PROGRAMS))
    candidates = (place, *(folder / name for folder in folders for name in _PYTHONS))
    return next((path for path in candidates if path.is_file()), None)


def _broken_program(tool: Tool, python: Path) -> Path | None:
    """What the tool is started with, where it is not there or its first line names an interpreter that is not."""
    program = program_beside(python, COMMANDS[tool].split()[0])
    try:
        with program.open("rb") as file:
            begin = file.read(_FIRST_LINE)
    except OSError:
        return program
    words = begin.removeprefix(b"#!").split(b"\n")[0].split() if begin.startswith(b"#!") else []
    return program if words and not Path(os.fsdecode(words[0])).exists() else None


def _version(package: str, python: Path) -> str | None:
    # Not resolved: an environment's Python is a link to another's.
    folders = [str(folder) for folder in _library_folders(python.parent.parent)]
    return next((one.version for one in metadata.distributions(name=package, path=folders)), None)


def _library_folders(environment: Path) -> Iterator[Path]:
    for pattern in _LIBRARIES:
        yield from sorted(environment.glob(pattern))
