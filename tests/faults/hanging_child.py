"""The worker's child, with a fault: where a file asks for it, its training stands still once, in the middle of a step, for ever.

The file lies in the data folder, holds how many steps are to be done before, and is gone once it was obeyed, so the next attempt goes
on. Another trainer hangs in its own process, as its observer is given the same fault.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any

from app.core.settings import get_settings
from tests.faults.studio import HANG_AFTER
from worker.work import child
from worker.work.backends import tool_process

IN_A_TOOL = """

def hang(self, args, state, control, **kwargs):
    order = Path({order!r})
    if order.exists() and state.global_step == int(order.read_text()):
        order.unlink()
        threading.Event().wait()


Reporter.on_pre_optimizer_step = hang

if NAME:
"""


def obey(order: Path) -> None:
    """Let what trains in this process, or in another trainer's, hang when it comes to the step."""
    from worker.work.training.trainer import SftTrainer

    step = SftTrainer.training_step

    def hanging(self: SftTrainer, *batch: Any) -> Any:
        loss = step(self, *batch)
        if order.exists() and self.state.global_step == int(order.read_text()):
            order.unlink()
            threading.Event().wait(24 * 3600)
        return loss

    SftTrainer.training_step = hanging  # type: ignore[method-assign]
    # A folder of its own, for the observer's is all that is on another trainer's path.
    folder = order.with_suffix(".observer")
    folder.mkdir(exist_ok=True)
    observer = (tool_process.OBSERVER / "sitecustomize.py").read_text("utf-8")
    assert observer.count("\nif NAME:\n") == 1
    whole = observer.replace("\nif NAME:\n", IN_A_TOOL.format(order=str(order)))
    (folder / "sitecustomize.py").write_text(whole, "utf-8")
    tool_process.OBSERVER = folder  # type: ignore[misc]


if __name__ == "__main__":
    obey(get_settings().data_dir / HANG_AFTER)
    code = child.main(sys.argv[1:])
    sys.stderr.flush()
    # As the child itself does: a thread still reads standard input.
    os._exit(code)
