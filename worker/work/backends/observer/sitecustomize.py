"""Looks into another trainer from inside its process, and asks it to stop: on the Python path of every process it starts.

Python imports a module of this name by itself. This one needs nothing but the standard library, does nothing where
SFT_STUDIO_OBSERVER names no socket, which is one of Linux's that are no file, and touches one class: transformers' Trainer,
on which all four tools build. JSON lines go out, each with an `event`:

    sample    one sample of the training data as the tool has prepared and collated it: `place`, `input_ids`, `labels`
    prepared  that was the last of `samples`; training waits for {"go": true}
    batch     rows as they reach the model: `rows` of [input_ids, labels], without padding; `padded` labels that are trained
    step      `step` of `total_steps` is done, `epoch`, and the `seconds` that it took
    log       `step`, `epoch`, `loss`, `learning_rate`, `grad_norm`, memory in use
    saved     a checkpoint after `step` is complete, in `folder`
    measuring, held_out   the held-out loss begins; `loss` per trained token after `step`
    end       the last `step` of `total_steps`, `train_loss`, `best_step` where the tool kept the best, peak memory

Where SFT_STUDIO_RESUME names a checkpoint's folder, training goes on from there, whatever the tool itself would do, and early
stopping has the patience that was left there; where that was the last step, the tool saves what there is.
{"stop": true} comes in and ends training after the step that is under way, as the tool ends it by itself. When the
socket ends, so does the process: who watched is gone.

Of several processes that train together each tells its batches, and the first one alone the rest.
"""

import faulthandler
import functools
import importlib.abc
import importlib.machinery
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

NAME = os.environ.get("SFT_STUDIO_OBSERVER")
RESUME = os.environ.get("SFT_STUDIO_RESUME")
WATCHED = "transformers.trainer"
IGNORED = -100
# Of a checkpoint, as transformers names it.
STATE = "trainer_state.json"
STOPPING = "EarlyStoppingCallback"
# The first process of those that train together, as torch's launchers count them.
LEADS = os.environ.get("RANK", "0") == "0"
ORPHANED = 3


class Line:
    """The connection to who watches: made where the process begins, so that none outlives the one who started it."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(f"\0{name}")
        except OSError:
            os._exit(ORPHANED)
        self.lock, self.go, self.stop = threading.Lock(), threading.Event(), threading.Event()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        try:
            with self.socket.makefile("rb") as lines:
                for line in lines:
                    said = json.loads(line)
                    if said.get("go"):
                        self.go.set()
                    if said.get("stop"):
                        self.stop.set()
        finally:
            # It ends with an error where who watched was gone before having heard all, or having taken the call.
            os._exit(ORPHANED)

    def tell(self, event: str, **fields: Any) -> None:
        data = json.dumps({"event": event, **fields}).encode() + b"\n"
        with self.lock:
            try:
                self.socket.sendall(data)
            except OSError:
                os._exit(ORPHANED)


class Finder(importlib.abc.MetaPathFinder):
    """Lets the module be loaded as ever and looks at it afterwards."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            watch(module, self.line)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def watch(module: Any, line: Line) -> None:
    """Let every Trainer tell of itself."""
    trainer, kind = module.Trainer, type("Watching", (Reporter, module.TrainerCallback), {})
    begin, prepare = trainer.__init__, trainer._prepare_inputs
    train, count = trainer.train, trainer._get_num_items_in_batch

    @functools.wraps(begin)
    def begun(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self.add_callback(kind(self, line))
        # Of this one, since tools have prediction steps of their own.
        self.prediction_step = functools.partial(predicted, self, self.prediction_step)

    @functools.wraps(prepare)
    def prepared(self: Any, inputs: Any) -> Any:
        found = prepare(self, inputs)
        if self.model.training and "labels" in found:
            rows, padded = without_padding(found)
            line.tell("batch", rows=rows, padded=padded)
        return found

    @functools.wraps(count)
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.sft_studio_items = count(self, *args, **kwargs)
        return self.sft_studio_items

    @functools.wraps(train)
    def trained(self: Any, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        if RESUME and has_ended(Path(RESUME)):
            return ended_at(module, self, Path(RESUME))
        if RESUME:
            keep_patience(self, Path(RESUME))
            # That was measured before; once more would cost patience.
            self.args.eval_on_start = False
        return train(self, RESUME or resume_from_checkpoint, *args, **kwargs)

    trainer.__init__, trainer._prepare_inputs = begun, prepared
    trainer.train, trainer._get_num_items_in_batch = trained, counted


def has_ended(checkpoint: Path) -> bool:
    """Whether it was saved after the last step, be that of all or the one at which early stopping ended."""
    state = json.loads((checkpoint / STATE).read_text("utf-8"))
    control = kept_of(state, "TrainerControl", "args")
    return bool(state["global_step"] >= state["max_steps"] or control.get("should_training_stop"))


def kept_of(state: Any, name: str, part: str) -> Any:
    """What transformers kept of a callback in a checkpoint, of the first one where there are several."""
    kept = (state.get("stateful_callbacks") or {}).get(name) or {}
    return (kept[0] if isinstance(kept, list) else kept).get(part) or {}


def keep_patience(trainer: Any, checkpoint: Path) -> None:
    """Let early stopping count on from there; transformers would begin anew, or with an argument that brings back far more."""
    state = json.loads((checkpoint / STATE).read_text("utf-8"))
    for name, value in kept_of(state, STOPPING, "attributes").items():
        for callback in trainer.callback_handler.callbacks:
            if type(callback).__name__ == STOPPING and hasattr(callback, name):
                setattr(callback, name, value)


def ended_at(module: Any, trainer: Any, checkpoint: Path) -> Any:
    """Stand where that step left it, for the tool to save; transformers itself would take one more."""
    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = state = module.TrainerState.load_from_json(str(checkpoint / STATE))
    args, control = trainer.args, trainer.control
    reporters = [one for one in trainer.callback_handler.callbacks if isinstance(one, Reporter)]
    for reporter in reporters:
        reporter.on_train_begin(args, state, control)
    if args.load_best_model_at_end and state.best_model_checkpoint:
        trainer._load_best_model()
    for reporter in reporters:
        reporter.on_train_end(args, state, control)
    # The mean over all steps is told by who watched them.
    return module.TrainOutput(state.global_step, 0.0, {})


def predicted(trainer: Any, predict: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """What the trainer's own step gives, added up token by token."""
    tokens = int((inputs["labels"][:, 1:] != IGNORED).sum()) if "labels" in inputs else 0
    trainer.sft_studio_items = None
    found = predict(model, inputs, *args, **kwargs)
    # A mean over batches, as the tool makes it, would weigh a trained token of a short answer more.
    if found[0] is not None and tokens:
        summed, before = getattr(trainer, "sft_studio_held_out", (0.0, 0))
        loss = float(found[0].mean()) * divisor(trainer, tokens)
        trainer.sft_studio_held_out = summed + loss, before + tokens
    return found


def divisor(trainer: Any, tokens: int) -> float:
    """What the sum over a batch's trained tokens was divided by to give its loss."""
    items = trainer.sft_studio_items
    if items is None:
        return tokens
    # Several processes divide by the tokens of all of them, and multiply by their number.
    return float(items) / (trainer.args.world_size if trainer.args.average_tokens_across_devices else 1)


def without_padding(batch: Any) -> tuple[list[Any], int]:
    """Rows of [input_ids, labels] and how many labels of the padding are trained; lists of numbers."""
    ids, labels = batch["input_ids"].tolist(), batch["labels"].tolist()
    mask = batch["attention_mask"].tolist() if "attention_mask" in batch else [[1] * len(row) for row in ids]
    rows, padded = [], 0
    for row, wanted, kept in zip(ids, labels, mask, strict=True):
        rows.append(
            [[one for one, flag in zip(values, kept, strict=True) if flag] for values in (row, wanted)]
        )
        padded += sum(1 for one, flag in zip(wanted, kept, strict=True) if not flag and one != IGNORED)
    return rows, padded


class Reporter:
    """transformers' callback that tells of one trainer; it becomes one where transformers is loaded."""

    started = 0.0
    measuring = False
    train_loss: float | None = None

    def __init__(self, trainer: Any, line: Line) -> None:
        self.trainer, self.line = trainer, line

    def tell(self, event: str, **fields: Any) -> None:
        if LEADS:
            self.line.tell(event, **fields)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        require_together(args, self.trainer)
        if not LEADS:
            # The first one compares; nobody may begin before it has.
            self.line.go.wait()
            return
        data = self.trainer.train_dataset
        self.line.go.clear()
        for place in range(len(data)):
            rows, padded = without_padding(self.trainer.data_collator([data[place]]))
            ids, labels = rows[0] if len(rows) == 1 else ([], [])
            self.line.tell("sample", place=place, input_ids=ids, labels=labels, padded=padded)
        self.line.tell("prepared", samples=len(data))
        self.line.go.wait()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seconds = time.monotonic() - self.started
        self.tell(
            "step",
            step=state.global_step,
            total_steps=state.max_steps,
            epoch=state.epoch,
            seconds=seconds,
        )
        # One that stopped alone would leave the others waiting for it.
        if total(args, float(self.line.stop.is_set()))[0]:
            control.should_training_stop = True
            control.should_evaluate = control.should_save = False

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        folder = Path(args.output_dir, f"checkpoint-{state.global_step}").absolute()
        self.tell("saved", step=state.global_step, folder=str(folder))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            names = ("loss", "learning_rate", "grad_norm")
            figures = {name: number(logs.get(name)) for name in names}
            self.tell("log", step=state.global_step, epoch=state.epoch, **figures, **memory())
        elif logs and "train_loss" in logs:
            self.train_loss = number(logs["train_loss"])

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.measuring:
            self.measuring = True
            self.tell("measuring")

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        self.measuring = False
        summed, tokens = total(args, *self.trainer.__dict__.pop("sft_studio_held_out", (0.0, 0)))
        loss = summed / tokens if tokens else number((metrics or {}).get("eval_loss"))
        self.tell("held_out", step=state.global_step, loss=loss)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        peak = peak_memory(args)
        self.tell(
            "end",
            step=state.global_step,
            total_steps=state.max_steps,
            train_loss=self.train_loss,
            best_step=best_step(state) if args.load_best_model_at_end else None,
            peak_memory_bytes=peak,
        )


def require_together(args: Any, trainer: Any) -> None:
    """What was asked of the launcher is so: libraries go on without a word where it is not."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if args.world_size != started:
        raise RuntimeError(f"{started} processes were started and {args.world_size} train together")
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not trainer.is_fsdp_enabled:
        raise RuntimeError("FSDP was asked for and the model is not split")


def total(args: Any, *numbers: float) -> list[float]:
    """Each number, added up over all processes that train together."""
    if args.world_size == 1:
        return list(numbers)
    torch = sys.modules["torch"]
    found = torch.tensor(numbers, dtype=torch.float64, device=args.device)
    torch.distributed.all_reduce(found)
    return [float(number) for number in found]


def best_step(state: Any) -> int | None:
    """The step whose weights the tool put back at the end."""
    folder = state.best_model_checkpoint
    return int(folder.rpartition("-")[2]) if folder else None


def number(value: Any) -> float | None:
    return None if value is None else float(value)


def gpu() -> Any:
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


def memory() -> dict[str, Any]:
    """Bytes: the process's own, on the GPU where there is one, and what all processes use of that."""
    device = gpu()
    if device is None:
        return {"memory_bytes": from_status("VmRSS")}
    free, total = device.mem_get_info()
    return {
        "memory_bytes": device.memory_allocated(),
        "device_memory_bytes": total - free,
        "device_memory_total_bytes": total,
    }


def peak_memory(args: Any) -> int | None:
    """Bytes: of this process's GPU, or of all processes together where they share the machine's memory."""
    device = gpu()
    if device is not None:
        return int(device.max_memory_allocated())
    own = from_status("VmHWM")
    return None if own is None else int(total(args, own)[0])


def from_status(name: str) -> int | None:
    # Not what getrusage says, which a process inherits from the one that started it.
    with Path("/proc/self/status").open(encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(name)), None)


if NAME:
    # Where each thread stands, told among what the tool prints when nothing of it moves any more.
    faulthandler.register(signal.SIGUSR1)
    sys.meta_path.insert(0, Finder(Line(NAME)))
