"""Fetches a base model from the hub: pinned to a commit, only the files that are needed, told in bytes.

What was fetched before an interruption is kept in the hub client's own cache and not fetched again.
"""

import re
import threading
import time
from pathlib import Path
from typing import Any, Final

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from app.jobs.events import Emit, EventKind, Phase
from app.sentences import N_, FailureCode
from worker.work.disk_space import require_space
from worker.work.protocol import Control, JobFailed, log

# The base of all errors of whichever HTTP library the hub's client uses, failed connections included.
HTTPError: type[Exception] = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
HUB_ID: Final = re.compile(r"[\w.-]+(/[\w.-]+)?")
# Weights under other names are the same again for another library.
_WANTED: Final = re.compile(
    r"model[\w.-]*\.safetensors|[\w.-]+\.(json|jinja|model|txt)|README\.md|additional_chat_templates/.+"
)
# The same as the cache is asked for it: it takes shell patterns only.
_WANTED_HERE: Final = ("model*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_SECONDS_BETWEEN_EVENTS: Final = 1.0
_OUT_OF_REACH: Final = N_(
    "The hub cannot be reached to fetch %(reference)s: check the network, or use the bundled model or a local "
    "folder."
)


def fetch(
    reference: str, revision: str | None, emit: Emit, control: Control, *, weights: bool = True
) -> tuple[Path, str]:
    """The model's files on this machine, and the commit they are of. Raises JobFailed with a sentence.

    Without `weights` only the small files: tokenizer, chat template, configuration.
    With a full commit as revision and everything in the cache no network is needed.
    """
    if not HUB_ID.fullmatch(reference):
        raise JobFailed(
            FailureCode.MODEL_MISSING,
            N_("%(reference)s is not a hub id: write owner/name."),
            reference=reference[:80] or "''",
        )
    if revision and COMMIT.fullmatch(revision) and (cached := _cached(reference, revision, weights)):
        return cached, revision
    files, commit = _listing(reference, revision, weights)
    log(emit, "info", N_("%(reference)s is read at commit %(commit)s."), reference=reference, commit=commit)
    require_space(sum(files.values()), Path(constants.HF_HUB_CACHE))
    emit(EventKind.PHASE, phase=Phase.DOWNLOADING)
    try:
        folder = snapshot_download(
            reference,
            revision=commit,
            allow_patterns=list(files),
            tqdm_class=_progress_bar(sum(files.values()), emit, control),
        )
    except (HTTPError, OSError) as error:
        control.raise_if_cancelled()
        raise JobFailed(FailureCode.HUB_UNREACHABLE, _OUT_OF_REACH, reference=reference) from error
    control.raise_if_cancelled()
    return Path(folder), commit


def _cached(reference: str, commit: str, weights: bool) -> Path | None:
    try:
        folder = Path(
            snapshot_download(
                reference,
                revision=commit,
                local_files_only=True,
                allow_patterns=[
                    name for name in _WANTED_HERE if weights or not name.endswith(".safetensors")
                ],
                ignore_patterns="*/*",
            )
        )
    except (LocalEntryNotFoundError, OSError):
        return None
    return folder if any(folder.glob("model*.safetensors" if weights else "tokenizer*.json")) else None


def _listing(reference: str, revision: str | None, weights: bool) -> tuple[dict[str, int], str]:
    """Names and sizes in bytes of the files that are needed, and the commit."""
    info = _model_info(reference, revision)
    if info.sha is None:
        raise JobFailed(
            FailureCode.HUB_UNREACHABLE, N_("The hub names no commit for %(reference)s."), reference=reference
        )
    files = {
        file.rfilename: file.size or 0 for file in info.siblings or () if _WANTED.fullmatch(file.rfilename)
    }
    if not weights:
        return {name: size for name, size in files.items() if not name.endswith(".safetensors")}, str(
            info.sha
        )
    if not any(name.endswith(".safetensors") for name in files):
        raise JobFailed(
            FailureCode.MODEL_UNUSABLE,
            N_("%(reference)s has no safetensors weights, and pickled ones are not accepted."),
            reference=reference,
        )
    return files, str(info.sha)


def _model_info(reference: str, revision: str | None) -> Any:
    try:
        return HfApi().model_info(reference, revision=revision, files_metadata=True)
    except GatedRepoError as error:
        raise JobFailed(
            FailureCode.HUB_REFUSED,
            N_("%(reference)s asks for its terms to be accepted: accept them on the hub and set HF_TOKEN."),
            reference=reference,
        ) from error
    except RevisionNotFoundError as error:
        raise JobFailed(
            FailureCode.MODEL_MISSING,
            N_("%(reference)s has no revision %(revision)s."),
            reference=reference,
            revision=str(revision),
        ) from error
    except RepositoryNotFoundError as error:
        raise JobFailed(
            FailureCode.MODEL_MISSING,
            N_("The hub does not know %(reference)s: check its spelling, or set HF_TOKEN if it is private."),
            reference=reference,
        ) from error
    except HFValidationError as error:
        raise JobFailed(
            FailureCode.MODEL_MISSING,
            N_("%(reference)s is not a hub id: write owner/name."),
            reference=reference,
        ) from error
    except (HTTPError, OSError) as error:
        raise JobFailed(FailureCode.HUB_UNREACHABLE, _OUT_OF_REACH, reference=reference) from error


def _progress_bar(total: int, emit: Emit, control: Control) -> type[tqdm]:
    """A silent progress bar class that tells the bytes of all files together, about once a second."""
    lock = threading.Lock()
    done = 0
    told_at = 0.0

    class Told(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.counts_bytes = kwargs.get("unit") == "B"
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal done, told_at
            control.raise_if_cancelled()
            if self.counts_bytes and n:
                with lock:
                    done += int(n)
                    now = time.monotonic()
                    if now - told_at >= _SECONDS_BETWEEN_EVENTS or done >= total:
                        told_at = now
                        emit(EventKind.PROGRESS, step=min(done, total), total_steps=total)
            return None

    return Told
