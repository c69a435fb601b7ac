"""A model folder of a stranger, looked at before any library may open it.

Everything that can be loaded lies in the folder itself and is safetensors by content; nothing in it is a pickle, leads
out of it, or names a file elsewhere.
"""

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open

from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed

_INDEX: Final = ".safetensors.index.json"
# Names another model to be loaded in place of this one.
_ADAPTER: Final = "adapter_config.json"
# A configuration may name its own weights, which are taken before all others.
_NAMED_WEIGHTS: Final = "transformers_weights"
_LARGEST_JSON_BYTES: Final = 64 * 2**20


def require_base_model(path: Path) -> None:
    """Raises JobFailed where a base model that was prepared is no model folder any more."""
    if not (path / "config.json").is_file():
        raise JobFailed(
            FailureCode.MODEL_MISSING,
            N_("The base model folder %(path)s has no config.json. Prepare the base model again."),
            path=str(path),
        )


def check_model_folder(folder: Path) -> None:
    """Raises JobFailed, naming the file, unless all that is loaded from the folder is plain and its own."""
    if not folder.is_dir():
        raise JobFailed(
            FailureCode.MODEL_MISSING, N_("The folder %(folder)s does not exist."), folder=str(folder)
        )
    if not (folder / "config.json").is_file():
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("%(folder)s has no config.json: it is not a model folder."),
            folder=str(folder),
        )
    require_own_files(folder)
    if (folder / _ADAPTER).exists():
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("%(folder)s holds an adapter (%(file)s). Choose the model that it belongs to."),
            folder=str(folder),
            file=_ADAPTER,
        )
    _require_weights(folder)


def require_own_files(folder: Path) -> None:
    """Raises JobFailed for a link that leads out, for what is neither file nor folder, and for pickled data."""
    allowed = _allowed_targets(folder)
    for parent, names, files in os.walk(folder):
        for name in (*names, *files):
            path = Path(parent) / name
            shown = str(path.relative_to(folder))
            if path.is_symlink() and not _leads_to(path, allowed):
                raise JobFailed(
                    FailureCode.MODEL_UNUSABLE,
                    N_("%(file)s is a link that leads out of the model's folder: copy the file itself."),
                    file=shown,
                )
            if name in files:
                _require_plain(path, shown)


def _allowed_targets(folder: Path) -> tuple[Path, ...]:
    """The folder; and in the hub's cache, whose files are links, the blobs of the same model beside it."""
    whole = folder.resolve()
    if whole.parent.name == "snapshots":
        return whole, whole.parent.parent / "blobs"
    return (whole,)


def _leads_to(path: Path, allowed: tuple[Path, ...]) -> bool:
    try:
        target = path.resolve()
    except (OSError, RuntimeError):
        return False
    return any(target.is_relative_to(root) for root in allowed)


def _require_plain(path: Path, shown: str) -> None:
    try:
        mode = path.stat().st_mode
        # Never opened: a pipe would be waited for without end.
        plain = stat.S_ISREG(mode)
        pickled = plain and is_pickled(path)
    except OSError as error:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("%(file)s cannot be read: %(reason)s"),
            file=shown,
            reason=error.strerror or type(error).__name__,
        ) from error
    if not plain:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("%(file)s is no plain file. A model folder holds files and folders only."),
            file=shown,
        )
    if pickled:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("%(file)s holds pickled data, which can run code: only safetensors are accepted."),
            file=shown,
        )


def is_pickled(path: Path) -> bool:
    """By content: a pickle of protocol 2 or later, or a zip, the container of torch.save."""
    with path.open("rb") as stream:
        head = stream.read(4)
    return head[:4] == b"PK\x03\x04" or (len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5)


def _require_weights(folder: Path) -> None:
    weights = sorted(path for path in folder.glob("*.safetensors"))
    if not weights:
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("The folder %(folder)s has no .safetensors weights."),
            folder=str(folder),
        )
    for path in weights:
        try:
            with safe_open(path, "pt") as stream:
                stream.keys()
        except (SafetensorError, OSError) as error:
            raise JobFailed(
                FailureCode.MODEL_UNUSABLE, N_("%(file)s is damaged or is not safetensors."), file=path.name
            ) from error
    own = {path.name for path in weights}
    for index in sorted(folder.glob(f"*{_INDEX}")):
        named = _read_object(index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise JobFailed(
                FailureCode.MODEL_UNUSABLE,
                N_("%(file)s names no weights: its weight_map is missing or empty."),
                file=index.name,
            )
        _require_own(index.name, named.values(), own)
    config = folder / "config.json"
    if (chosen := _read_object(config).get(_NAMED_WEIGHTS)) is not None:
        _require_own(config.name, [chosen], own | {path.name for path in folder.glob(f"*{_INDEX}")})


def _require_own(file: str, named: Any, own: set[str]) -> None:
    for name in named:
        if not isinstance(name, str) or name not in own:
            raise JobFailed(
                FailureCode.MODEL_UNUSABLE,
                N_("%(file)s names the weights “%(name)s”, which is not a .safetensors file in this folder."),
                file=file,
                name=str(name)[:80],
            )


def _read_object(path: Path) -> dict[str, Any]:
    found: object = None
    with suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= _LARGEST_JSON_BYTES:
            found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, dict):
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE, N_("%(file)s is not a JSON object that can be read."), file=path.name
        )
    return found
