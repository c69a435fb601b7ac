"""The long form: every fault many times, with figures. `make faults ROUNDS=20` takes its time; exit code 1 when a job was lost
or ended twice, or something was left half done.
"""

import argparse
import logging
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.places import Place, on_small_disk, ready_check
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.studio import Told
from tests.support.disks import can_mount, in_namespace
from tests.support.installation import Studio


def main() -> int:
    """Run the campaign; print a line a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", help=f"some of: {', '.join(SCENARIOS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    logging.getLogger("sft_studio").setLevel(logging.CRITICAL)  # what must be said, the answers say
    chosen = asked.faults or list(SCENARIOS)
    if unknown := set(chosen) - set(SCENARIOS):
        parser.error(f"there is no fault {sorted(unknown)}; there are: {', '.join(SCENARIOS)}")
    dice = random.Random(asked.seed)
    failed = 0
    if to_mount := [name for name in chosen if SCENARIOS[name].place is on_small_disk]:
        asked_for = [*to_mount, "--rounds", str(asked.rounds), "--seed", str(asked.seed)]
        if (code := in_namespace(["-m", "tests.faults", *asked_for])) is not None:
            failed, chosen = code, [name for name in chosen if name not in to_mount]
        elif not can_mount():
            print(
                "No small disk can be mounted here, so a limit on the size of files stands in for a full one."
            )
    places: dict[Place, list[str]] = {}
    for name in chosen:
        places.setdefault(SCENARIOS[name].place, []).append(name)
    unsound = 0
    for place, names in places.items():
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sft-studio-faults-")))
            studio = stack.enter_context(place(folder))
            check = ready_check(studio, folder)
            for name in names:
                unsound += _campaign(studio, check, name, asked.rounds, dice)
    print(
        "every job ended once, as it should"
        if not unsound
        else f"{unsound} rounds did not end as they should"
    )
    return 1 if unsound or failed else 0


def _campaign(studio: Studio, check: dict[str, Any], name: str, rounds: int, dice: random.Random) -> int:
    scenario, wrong, told, seconds = SCENARIOS[name], 0, list[Told](), list[float]()
    for _round in range(rounds):
        began = time.monotonic()
        found = _once(scenario, studio, check, dice)
        seconds.append(time.monotonic() - began)
        told += found
        # A fault may come after the end, and then there is nothing but success.
        if not found or any(
            not one.is_sound or one.state not in {*scenario.ends, "succeeded"} for one in found
        ):
            wrong += 1
            print(f"  {name}: {found}")
    attempts = [one.attempt for one in told] or [0]
    counted = sum((Counter(one.figures) for one in told), Counter[str]())
    print(
        f"{name}: {rounds} rounds, {wrong} wrong, {_ends(told)}, attempts {min(attempts)} to {max(attempts)}, "
        f"median {median(seconds):.1f} s, longest {max(seconds):.1f} s"
        + "".join(f", {count} {what}" for what, count in counted.items()),
        flush=True,
    )
    return wrong


def _once(scenario: Scenario, studio: Studio, check: dict[str, Any], dice: random.Random) -> list[Told]:
    """What came of its jobs; nothing where something that must hold did not, which is printed."""
    try:
        return scenario.fault(studio, check, dice)
    except AssertionError:
        traceback.print_exc()
        return []


def _ends(told: list[Told]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(one.state for one in told).items())


if __name__ == "__main__":
    sys.exit(main())
