"""Watches a trainer from inside without changing what it does: on the Python path of its process.

Writes JSON lines into the file that SFT_STUDIO_OBSERVED names: every training batch as it reaches the model, every row of
figures that the trainer logs with the moment of it, and at the end the highest memory of the process.
"""

import atexit
import importlib.abc
import importlib.machinery
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

FILE = os.environ.get("SFT_STUDIO_OBSERVED")
WATCHED = "transformers.trainer"


def tell(event: str, **fields: Any) -> None:
    with Path(FILE or os.devnull).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": event, "at": time.perf_counter(), **fields}) + "\n")


class Finder(importlib.abc.MetaPathFinder):
    """Lets the module be loaded as ever and looks at it afterwards."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            watch(module.Trainer)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def watch(trainer: Any) -> None:
    prepare, log = trainer._prepare_inputs, trainer.log

    def prepared(self: Any, inputs: Any) -> Any:
        found = prepare(self, inputs)
        if self.model.training and "labels" in found:
            ids, labels = found["input_ids"].tolist(), found["labels"].tolist()
            kept = [[bool(flag) for flag in row] for row in found["attention_mask"].tolist()]
            tell("batch", input_ids=ids, labels=labels, kept=kept)
        return found

    def logged(self: Any, logs: Any, *args: Any, **kwargs: Any) -> Any:
        if "loss" in logs:
            tell("loss", step=self.state.global_step, loss=float(logs["loss"]))
        elif "eval_loss" in logs:
            tell("held_out", step=self.state.global_step, loss=float(logs["eval_loss"]))
        return log(self, logs, *args, **kwargs)

    trainer._prepare_inputs, trainer.log = prepared, logged


def at_the_end() -> None:
    # The process's own high-water mark: what getrusage calls so may be that of the process which started it.
    with Path("/proc/self/status").open(encoding="utf-8") as file:
        peak = next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")), None)
    if WATCHED in sys.modules:
        tell("end", peak_memory_bytes=peak)


if FILE:
    sys.meta_path.insert(0, Finder())
    atexit.register(at_the_end)
