"""What holds the jobs of a server or worker under test: `sitecustomize.py`, for the Python path of its processes. What is held is not over
before somebody looks, however quick the machine is."""

from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]


def environment_of(file: Path, at: str = "") -> dict[str, str]:
    """What a server is given whose jobs do not begin while this file is there; `at` a module, whose import holds a job in its work. A run
    goes as far as the step that stands in the file."""
    return {"PYTHONPATH": f"{FOLDER}:{ROOT}", "HELD_WHILE": str(file), **({"HELD_AT": at} if at else {})}
