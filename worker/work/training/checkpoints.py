"""Checkpoints that are whole or absent, and free of pickle.

One is written into a folder beside its place, flushed to disk, described by a manifest with the hash of each
file, and only then renamed. Optimizer, schedule and random generators go into safetensors and JSON, so that a
resumed run goes on exactly where it stopped. Which checkpoint to trust is decided here by the manifest alone.
"""

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from app.files import file_sha256
from app.runs.checkpoint_files import STATE_FIELDS, best_step

MANIFEST = "manifest.json"
STATE_TENSORS = "training_state.safetensors"
# Named when only adapters were trained, and kept so that runs of before go on.
BEST_WEIGHTS = "best_adapter.safetensors"
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    path: Path
    step: int

    def fields(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.path / STATE_FIELDS).read_text("utf-8"))
        return loaded


def publish(folder: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Make `folder/name` appear with everything that `write` put into it, or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partial, final = folder / f".partial-{name}", folder / name
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        write(partial)
        _write_manifest(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    _sync_folder(folder)
    return final


def _write_manifest(folder: Path) -> None:
    """Flush every file, then describe them all: the manifest is the last thing written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    described = {}
    for path in files:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        size = path.stat().st_size
        described[str(path.relative_to(folder))] = {"sha256": file_sha256(path), "size_bytes": size}
    with (folder / MANIFEST).open("w", encoding="utf-8") as stream:
        json.dump({"files": described}, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_whole(folder: Path) -> bool:
    """True if the manifest is there and every file it names has the size and hash it says."""
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        return all(_matches(folder / name, entry) for name, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _matches(path: Path, entry: dict[str, Any]) -> bool:
    return bool(path.stat().st_size == entry["size_bytes"] and file_sha256(path) == entry["sha256"])


def link_or_copy(source: Path, target: Path) -> None:
    """The same content under another name, without writing it again where the disk allows that."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def checkpoints_in(folder: Path) -> list[Checkpoint]:
    """The checkpoints below a folder, newest first, whole or not.

    The folder is an attempt's, a job's (all its attempts are looked through), or a checkpoint's own.
    """
    if _NAME.fullmatch(folder.name):
        folder = folder.parent
    found = []
    for place in (folder, folder / "checkpoints", *sorted(folder.glob("*/checkpoints"))):
        for path in place.glob("checkpoint-*"):
            match = _NAME.fullmatch(path.name)
            if match and path.is_dir():
                found.append(Checkpoint(path, int(match[1])))
    return sorted(found, key=lambda checkpoint: checkpoint.step, reverse=True)


def newest_whole(folder: Path) -> Checkpoint | None:
    return next((checkpoint for checkpoint in checkpoints_in(folder) if is_whole(checkpoint.path)), None)


def thin_out(newest: Path, earlier: Path | None, limit: int) -> None:
    """Keep so many checkpoints, of this attempt and of `earlier` ones: the newest, and the one with the lowest held-out loss.

    `newest` was written this moment. What an earlier attempt left at a later step was passed over, and goes first.
    """
    written = Checkpoint(newest, int(newest.name.rpartition("-")[2]))
    others = {one.path: one for place in (newest.parent, earlier) if place for one in checkpoints_in(place)}
    passed_over = [one for one in others.values() if one.step >= written.step and one.path != newest]
    going_on = sorted((one for one in others.values() if one.step < written.step), key=lambda one: -one.step)
    best = best_step((one.step, one.path) for one in (written, *going_on))
    rest = [one for one in going_on if one.step != best]
    room = limit - 1 - (1 if best not in (None, written.step) else 0)
    for checkpoint in (*passed_over, *rest[room:]):
        shutil.rmtree(checkpoint.path, ignore_errors=True)


def save_training_state(
    folder: Path, optimizer: Any, scheduler: Any, device: torch.device, fields: dict[str, Any]
) -> None:
    """Write optimizer, schedule and random generators; `fields` is what else has to come back, as JSON."""
    state = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for number, entries in state["state"].items():
        for name, value in _flat(entries).items():
            if isinstance(value, torch.Tensor):
                # Not copied where it lies in memory already: of a whole model it is twice as large as that.
                tensors[f"optimizer.{number}.{name}"] = value.detach().cpu().contiguous()
            else:
                plain.setdefault(str(number), {})[name] = value
    python_version, python_words, python_gauss = random.getstate()
    numpy_kind, numpy_words, *numpy_rest = np.random.get_state()
    tensors["random.numpy"] = torch.from_numpy(np.asarray(numpy_words).astype(np.int64))
    tensors["random.torch"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    save_file(tensors, folder / STATE_TENSORS)
    written = {
        **fields,
        "optimizer": {"plain": plain, "param_groups": state["param_groups"]},
        "scheduler": scheduler.state_dict(),
        "random": {
            "python": [python_version, list(python_words), python_gauss],
            "numpy": [numpy_kind, *[float(x) if isinstance(x, float) else int(x) for x in numpy_rest]],
        },
    }
    (folder / STATE_FIELDS).write_text(json.dumps(written), "utf-8")


def _flat(entries: dict[str, Any]) -> dict[str, Any]:
    """What an optimizer keeps of one parameter. bitsandbytes wraps tensors in a dict of their own, and takes them without it."""
    found: dict[str, Any] = {}
    for name, value in entries.items():
        found |= value if isinstance(value, dict) else {name: value}
    return found


def load_optimizer_and_scheduler(checkpoint: Checkpoint, optimizer: Any, scheduler: Any) -> None:
    fields = checkpoint.fields()
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in load_file(checkpoint.path / STATE_TENSORS).items():
        owner, _, rest = name.partition(".")
        if owner == "optimizer":
            number, _, entry = rest.partition(".")
            state.setdefault(int(number), {})[entry] = tensor
    for number, entries in fields["optimizer"]["plain"].items():
        state.setdefault(int(number), {}).update(entries)
    optimizer.load_state_dict({"state": state, "param_groups": fields["optimizer"]["param_groups"]})
    scheduler.load_state_dict(fields["scheduler"])


def reschedule(optimizer: Any, scheduler: Any, learning_rate: float) -> None:
    """Let the rate of the next step be the one that the run's own schedule and learning rate have there."""
    scheduler.base_lrs = [learning_rate] * len(scheduler.base_lrs)
    rates = [
        base * share(scheduler.last_epoch)
        for base, share in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    ]
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["initial_lr"], group["lr"] = learning_rate, rate
    scheduler._last_lr = rates


def load_random_state(checkpoint: Checkpoint, device: torch.device) -> None:
    saved = checkpoint.fields()["random"]
    tensors = load_file(checkpoint.path / STATE_TENSORS)
    version, python_words, gauss = saved["python"]
    random.setstate((version, tuple(python_words), gauss))
    kind, position, has_gauss, cached = saved["numpy"]
    words = tensors["random.numpy"].numpy().astype(np.uint32)
    np.random.set_state((kind, words, position, has_gauss, cached))
    torch.set_rng_state(tensors["random.torch"])
    if device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
