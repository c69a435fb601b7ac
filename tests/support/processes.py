"""Processes that a test looks at from outside. One may end at any moment, also between two questions about it, and one that nobody
waited for stays as a zombie: in a container the first process may wait for none. So nothing here is raised for either.
"""

from collections.abc import Iterable
from pathlib import Path

import psutil


def runs(process: psutil.Process | int) -> bool:
    """Whether it is at work: neither gone, nor ended and waited for by nobody. By its number, or as it was found."""
    try:
        found = psutil.Process(process) if isinstance(process, int) else process
        return found.is_running() and found.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def all_gone(processes: Iterable[psutil.Process | int]) -> bool:
    """Whether none of them runs any more."""
    return not any(runs(process) for process in processes)


def family_of(process: psutil.Process | int) -> list[psutil.Process]:
    """The process and everything below it; nothing once it is gone."""
    try:
        own = psutil.Process(process) if isinstance(process, int) else process
        return [own, *own.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def command_of(process: psutil.Process) -> list[str]:
    """Its words; none where it has ended. Between its start and its program's it has those of the process that started it."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def below(process: psutil.Process | int, word: str) -> list[psutil.Process]:
    """Those below a process that have this word among those of their command, outermost first."""
    return [one for one in family_of(process)[1:] if word in command_of(one)]


def working_in(folder: Path) -> list[psutil.Process]:
    """Those of the whole machine that work in a folder, or in one below it, whether or not it is still there."""
    found = []
    for one in psutil.process_iter():
        try:
            place = Path(one.cwd().removesuffix(" (deleted)"))
        except psutil.Error:
            continue
        if place.is_relative_to(folder) and runs(one):
            found.append(one)
    return found


def end(processes: Iterable[psutil.Process]) -> None:
    """Kill those that are still there, and nobody who has one's number by now."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
