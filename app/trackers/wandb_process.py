"""`python -m app.trackers.wandb_process`: speaks to Weights & Biases for one run, told by lines of JSON on standard input.

{"do": "begin" | "tell" | "end", …} is answered by {"told": …, "url": …} or {"told": …, "error": …}. When its input ends before
the run has, it lets the package send what it has and leaves the run to be gone on with.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

_STEP: Final = "step"
_LONGEST_REASON: Final = 300


class _Speaker:
    """One run of the package."""

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Find or make the run."""
        # Only here: the package takes a second, and more memory than the rest of this process.
        import wandb

        self._run = wandb.init(
            id=told["id"],
            resume="allow",
            project=told["project"],
            entity=told["entity"],
            mode=told["mode"],
            dir=told["folder"],
            name=told["name"],
            config=told["config"],
            notes=told["notes"],
            # Of this process nothing is told: neither what it prints, nor its code, its packages, its machine.
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                save_code=False,
                x_save_requirements=False,
                x_disable_stats=True,
                x_disable_meta=True,
                silent=True,
            ),
        )
        self._run.define_metric(_STEP, hidden=True)
        self._run.define_metric("*", step_metric=_STEP)
        return {"url": None if self._run.offline else self._run.url}

    def tell(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Figures at their steps and moments."""
        for step, at, figures in told["points"]:
            self._run.log({**figures, _STEP: step, "_timestamp": at})
        return {}

    def end(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """How it ended."""
        folder = Path(self._run.dir)
        for file in sorted(Path(told["files"]).iterdir()):
            # A copy: the package would only link to what lies elsewhere.
            shutil.copyfile(file, folder / file.name)
            self._run.save(str(folder / file.name), base_path=str(folder), policy="now")
        self._run.summary.update({key: value for key, value in told["summary"].items() if value is not None})
        self._run.finish(exit_code=told["exit_code"])
        self._run = None
        return {}

    def leave(self) -> None:
        """It goes on elsewhere, later."""
        if self._run is not None:
            self._run.mark_preempting()
            self._run.finish(exit_code=1)


def main() -> None:
    """Until its input ends."""
    # The answers' way is kept apart from whatever libraries print.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    speaker = _Speaker()
    ways: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "begin": speaker.begin,
        "tell": speaker.tell,
        "end": speaker.end,
    }
    for line in sys.stdin:
        message = json.loads(line)
        try:
            answer = ways[message["do"]](message)
        except Exception as error:  # noqa: BLE001 - whatever the package raises is told
            answer = {"error": " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__}
        answers.write(json.dumps({"told": message["do"], **answer}) + "\n")
        answers.flush()
    speaker.leave()


if __name__ == "__main__":
    main()
