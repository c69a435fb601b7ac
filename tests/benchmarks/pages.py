"""Pages with 100,000 conversations in the database: the server's time for the list, the search, a conversation."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fastapi.testclient import TestClient

from app.accounts.models import Role
from tests.benchmarks.measuring import Goal, Result, Row, median, percentile
from tests.benchmarks.studio import empty_studio, jsonl
from tests.support.people import make_person

COUNT, REQUESTS, WARM_UP = 100_000, 60, 5
GOAL_MS = 100.0
WORDS: Final = ("price", "contract", "security", "demo", "discount", "budget", "integration", "Customer 77")


def measure(model: Path, say: Callable[[str], None]) -> Result:
    """Milliseconds of each kind of page, template and all, without network and browser."""
    del model
    say(f"pages: bringing in {COUNT} conversations")
    file = jsonl(COUNT)
    with empty_studio() as studio:
        dataset = studio.bring_in("Benchmark", file)
        del file
        dice = random.Random(7)
        pages = COUNT // 50
        kinds: dict[str, Callable[[], str]] = {
            "list, first page": lambda: f"/datasets/{dataset}",
            "list, any page": lambda: f"/datasets/{dataset}?page={dice.randint(1, pages)}",
            "list, one review state": lambda: (
                f"/datasets/{dataset}?review_state=draft&page={dice.randint(1, 50)}"
            ),
            "search, frequent word": lambda: f"/datasets/{dataset}?q={dice.choice(WORDS)}",
            "search, one conversation": lambda: (
                f"/datasets/{dataset}?q=Customer+{dice.randint(10_000, COUNT)}"
            ),
            "conversation": lambda: f"/conversations/{dice.randint(1, COUNT)}",
        }
        browser = make_person(studio.app, Role.ENGINEER).browser
        taken = {}
        for kind, address in kinds.items():
            say(f"pages: {kind}")
            taken[kind] = _times(browser, address)
    return _result(taken)


def _times(browser: TestClient, address: Callable[[], str]) -> list[float]:
    """Milliseconds of each request after the warm-up."""
    taken = []
    for _ in range(WARM_UP + REQUESTS):
        path = address()
        began = time.perf_counter()
        response = browser.get(path)
        taken.append((time.perf_counter() - began) * 1000)
        if response.status_code != 200:
            raise RuntimeError(f"{path} answered {response.status_code}")
    return taken[WARM_UP:]


def _result(taken: dict[str, list[float]]) -> Result:
    p95 = {kind: percentile(times, 0.95) for kind, times in taken.items()}
    return Result(
        name="pages",
        columns=("", "median", "p95", "slowest"),
        rows=[
            Row(kind, (f"{median(times):.0f} ms", f"{p95[kind]:.0f} ms", f"{max(times):.0f} ms"))
            for kind, times in taken.items()
        ],
        compared=(
            f"{COUNT} conversations in one dataset on SQLite; {REQUESTS} requests of each kind, one after another, through the "
            "whole application with sign-in and templates, in this process: network and browser are not in it."
        ),
        goals=[
            Goal(f"page “{kind}”, p95", value, GOAL_MS, at_most=True, unit=" ms")
            for kind, value in p95.items()
        ],
        raw={"p95_ms": p95, "median_ms": {kind: median(times) for kind, times in taken.items()}},
        packages=("fastapi", "sqlalchemy", "jinja2"),
    )
