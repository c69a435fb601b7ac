"""Disks on which not much can be written: one of a few megabytes to fill, and a limit for the files of this process."""

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_BALLAST = "ballast"
_NAMESPACE = "SFT_STUDIO_FAULTS_NAMESPACE"


@contextmanager
def small_disk(most_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: the system refuses it, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def can_mount() -> bool:
    """Whether this process may mount: root may, and whoever is root in a namespace of its own."""
    if not shutil.which("mount"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        probe = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        mounted = subprocess.run(probe, capture_output=True, check=False).returncode == 0
        if mounted:
            subprocess.run(["umount", folder], capture_output=True, check=True)
    return mounted


def in_namespace(arguments: Sequence[str]) -> int | None:
    """Run Python with these arguments as root of a namespace of its own, where that is needed to mount and is allowed.

    Its exit code; None where nothing is to be done or nothing can be. Not for what asks who it is: a PostgreSQL server
    will not be root's, and root of a namespace has nobody else to be.
    """
    if can_mount() or os.environ.get(_NAMESPACE) or not shutil.which("unshare"):
        return None
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        return None
    command = [*alone, sys.executable, *arguments]
    return subprocess.run(command, env={**os.environ, _NAMESPACE: "1"}, check=False).returncode


class SmallDisk:
    """A disk of its own below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """To the last byte; whoever wrote meanwhile has what was left."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as file:
            for size in (1024 * 1024, 4096, 1):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def make_room(self) -> None:
        """As an operator does."""
        (self.folder / _BALLAST).unlink(missing_ok=True)


class LimitedProcesses(SmallDisk):
    """Where nothing can be mounted: no file of this process, or of what it started, can be written any more."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._soft, self._hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """As it looks to those who write, but for the words of the system."""
        self._limit(0)

    def make_room(self) -> None:
        """Back to what it was."""
        self._limit(self._soft)

    def _limit(self, soft: int) -> None:
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, (soft, self._hard))


@contextmanager
def mounted_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk of this size, mounted on the folder until the block ends; where that cannot be, a limit that stands in."""
    folder.mkdir(parents=True)
    if not can_mount():
        limited = LimitedProcesses(folder)
        try:
            yield limited
        finally:
            limited.make_room()
        return
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)], check=True
    )
    try:
        yield SmallDisk(folder)
    finally:
        # What still has a file open there, a killed process say, loses it when it ends.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
