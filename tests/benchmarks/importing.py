"""Import: a JSONL file into SQLite, through everything an import does: parse, check, hash, language, rows, report."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.measuring import Goal, Result, Row, median
from tests.benchmarks.studio import empty_studio, jsonl

COUNT, ROUNDS = 20_000, 3
GOAL = 5000.0


def measure(model: Path, say: Callable[[str], None]) -> Result:
    """Conversations a second, committed."""
    del model
    file = jsonl(COUNT)
    seconds = []
    for number in range(ROUNDS):
        say(f"import: round {number + 1} of {ROUNDS}")
        with empty_studio() as studio:
            began = time.perf_counter()
            studio.bring_in("Benchmark", file)
            seconds.append(time.perf_counter() - began)
    speed = COUNT / median(seconds)
    return Result(
        name="import",
        columns=("", "conversations/s", "MB/s", "seconds"),
        rows=[
            Row(
                "JSONL to SQLite",
                (f"{speed:.0f}", f"{len(file) / 1e6 / median(seconds):.1f}", f"{median(seconds):.2f}"),
            )
        ],
        compared=(
            f"one file of {COUNT} different sales dialogues ({len(file) / 1e6:.0f} MB) into an empty SQLite database, in "
            f"pieces, all of it published; median of {ROUNDS} rounds. There is no peer: the goal is absolute."
        ),
        goals=[Goal("import, conversations a second", speed, GOAL)],
        raw={"conversations_per_second": speed, "seconds": seconds},
        packages=("sqlmodel", "sqlalchemy"),
    )
