"""The long form: every fault many times, with figures. `make faults ROUNDS=20` takes its time; exit code 1 when a job was lost
or ended twice.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.scenarios import SCENARIOS
from tests.faults.studio import hasty
from tests.support.installation import Studio, installed, prepare
from tests.support.small_model import small_model_folder
from tests.support.tiny_llama import tiny_llama_folder
from tests.support.workers import running_worker


def main() -> int:
    """Run the campaign; print a line a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", help=f"some of: {', '.join(SCENARIOS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chosen = asked.faults or list(SCENARIOS)
    dice = random.Random(asked.seed)
    unsound = 0
    with tempfile.TemporaryDirectory(prefix="sft-studio-faults-") as place:
        folder = Path(place)
        with installed(hasty(folder)) as studio:
            check = _ready(studio, folder)
            for name in chosen:
                unsound += _campaign(studio, check, name, asked.rounds, dice)
    print(
        "every job ended once, as it should" if not unsound else f"{unsound} jobs did not end as they should"
    )
    return 1 if unsound else 0


def _ready(studio: Studio, folder: Path) -> dict[str, Any]:
    """A green mask check of a tiny model; every run of the campaign starts from it."""
    with running_worker(studio.settings):
        model = prepare(studio, tiny_llama_folder(small_model_folder(), folder / "tiny"))
        return ready_check(studio, model)


def ready_check(studio: Studio, model: dict[str, Any]) -> dict[str, Any]:
    """A finished check of a small version."""
    question = {"dataset_version_id": studio.version(12)["id"], "base_model_id": model["id"]}
    check = studio.ok(
        studio.api.post("/api/v1/mask-checks", json={**question, "settings": {"max_length": 512}})
    )
    studio.wait_for(check["job"], "succeeded", 120)
    found: dict[str, Any] = studio.ok(studio.api.get(f"/api/v1/mask-checks/{check['id']}"))
    return found


def _campaign(studio: Studio, check: dict[str, Any], name: str, rounds: int, dice: random.Random) -> int:
    fault, expected = SCENARIOS[name]
    wrong, attempts, seconds = 0, [], []
    for _round in range(rounds):
        began = time.monotonic()
        told = fault(studio, check, dice)
        seconds.append(time.monotonic() - began)
        attempts.append(told.attempt)
        # A fault may come after the end.
        if not told.is_sound or told.state not in {expected, "succeeded"}:
            wrong += 1
            print(f"  {name}: {told}")
    print(
        f"{name}: {rounds} rounds, {wrong} wrong, attempts {min(attempts)} to {max(attempts)}, "
        f"median {median(seconds):.1f} s, longest {max(seconds):.1f} s",
        flush=True,
    )
    return wrong


if __name__ == "__main__":
    sys.exit(main())
