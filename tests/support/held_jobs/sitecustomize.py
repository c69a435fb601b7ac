"""On the Python path of a server under test: a job's process does not go on while the file is there that HELD_WHILE names.

It is held before its program begins, or, where HELD_AT names a module, when it imports that: its work is under way then, and it hears what
it is told. Where a number stands in the file, a run goes as far as that step, and tells of no later one.

Python imports a module of this name by itself.
"""

import importlib.util
import os
import sys
import time

held_while = os.environ.get("HELD_WHILE", "")
held_at = os.environ.get("HELD_AT", "")
RECORDING = "worker.work.recording"


def furthest() -> float:
    """The step that the file names: -1 where it names none, and none at all without a file."""
    try:
        with open(held_while) as file:  # noqa: PTH123 - every process that Python starts would wait for pathlib
            return int(file.read() or -1)
    except FileNotFoundError:
        return float("inf")


def hold(step: int = 0) -> None:
    """Until that step may be told."""
    while furthest() < step:
        time.sleep(0.02)


def hold_at_steps(recording: object) -> None:
    """Whatever is told of a step goes through this class."""
    kind_of_recording = recording.Recording  # type: ignore[attr-defined]
    tell = kind_of_recording.__call__

    def told(self: object, kind: str, /, **payload: object) -> None:
        hold(payload.get("step", 0))  # type: ignore[arg-type]
        tell(self, kind, **payload)

    kind_of_recording.__call__ = told


class Holding:
    """Asked before every other finder for the modules that are imported. Finds none but the one of RECORDING."""

    @staticmethod
    def find_spec(name: str, *_more: object) -> object:
        """Holds whoever asks for the one of HELD_AT."""
        if name == held_at:
            hold()
        if name != RECORDING:
            return None
        sys.meta_path.remove(Holding)
        spec = importlib.util.find_spec(name)
        sys.meta_path.insert(0, Holding)
        execute = spec.loader.exec_module  # type: ignore[union-attr]

        def execute_and_hold(module: object) -> None:
            execute(module)
            hold_at_steps(module)

        spec.loader.exec_module = execute_and_hold  # type: ignore[union-attr,method-assign]
        return spec


if held_while and any("worker.work.child" in word for word in sys.orig_argv):
    sys.meta_path.insert(0, Holding)
    if not held_at:
        hold()
