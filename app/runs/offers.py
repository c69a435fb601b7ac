"""What the form of a new run has to choose from on this server: devices of its workers, programs that train."""

from sqlmodel import Session

from app.core.i18n import gettext
from app.interop.handing import TOOL_NAMES, TOOLS
from app.jobs.devices import ANY, CPU, CUDA
from app.jobs.workers import devices_of_workers
from app.recipes.backend import STUDIO
from app.runs.backends import Backends
from app.sentences import N_


def offered_devices(session: Session, chosen: str) -> list[tuple[str, str]]:
    """Where the run can be asked to be trained, with words; nothing to choose where workers have one device."""
    there = devices_of_workers(session)
    if len(there) < 2 and chosen == ANY:
        return []
    names = [(one.name, f"{one.name} ({one.title})") for one in there]
    if sum(one.name != CPU for one in there) > 1:
        names.insert(0, (CUDA, gettext(N_("Any GPU"))))
    if chosen not in (ANY, *(name for name, _words in names)):
        names.append((chosen, chosen))
    return [(ANY, gettext(N_("Any device"))), *names]


def offered_backends(backends: Backends, chosen: str) -> list[tuple[str, str]]:
    """Names and words of the programs that are found here, and of the one that a link or a run before asks for."""
    found = {
        tool: f"{TOOL_NAMES[tool]} {one.version}"
        for tool, one in backends.environments.items()
        if tool in backends.names
    }
    asked = {tool: TOOL_NAMES[tool] for tool in TOOLS if tool == chosen}
    return [(STUDIO, "SFT Studio"), *{**asked, **found}.items()]
