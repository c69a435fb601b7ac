"""A finished export's files onto a model hub, with the token of the worker's environment."""

from pathlib import Path
from typing import Final

from app.core.settings import get_settings
from app.exports.hub import Hub
from app.exports.work import PushedFile, PushInput, PushResult
from app.files import file_sha256
from app.jobs.events import Emit, EventKind, Phase
from app.sentences import N_, FailureCode
from worker.work.protocol import Control, JobFailed

_NO_TOKEN: Final = N_(
    "The worker has no token for the hub: whoever runs it names one in %(setting)s, for web and workers."
)
_DAMAGED: Final = N_(
    "The file %(name)s is not what was made: it changed on the disk. Export the run again, then push."
)


def run(job: PushInput, _output_dir: Path, emit: Emit, control: Control) -> PushResult:
    """Every file is as it was made, or nothing is pushed."""
    token = get_settings().hub_token.get_secret_value()
    if not token:
        raise JobFailed(FailureCode.HUB_REFUSED, _NO_TOKEN, setting="SFT_STUDIO_HUB_TOKEN")
    folder = Path(job.folder)
    for file in job.files:
        control.raise_if_cancelled()
        _require_whole(folder, file)
    emit(EventKind.PHASE, phase=Phase.UPLOADING)
    total = sum(file.size_bytes for file in job.files)

    def told(done: int) -> None:
        control.raise_if_cancelled()
        emit(EventKind.PROGRESS, step=done, total_steps=total)

    hub = Hub(job.repository, token, private=job.private)
    done = hub.push(folder, [file.name for file in job.files], job.message, told)
    return PushResult(url=done.url, commit=done.commit)


def _require_whole(folder: Path, file: PushedFile) -> None:
    path = folder / file.name
    if not path.is_file() or path.stat().st_size != file.size_bytes or file_sha256(path) != file.sha256:
        raise JobFailed(FailureCode.UNEXPECTED, _DAMAGED, name=file.name)
