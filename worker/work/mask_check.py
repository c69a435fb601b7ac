"""Child side of a mask check: masks a frozen version, writes the arrays that training will read. No torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.dialogue.conversation import FrozenConversation
from app.files import file_sha256
from app.jobs.events import Emit, EventKind, Phase
from app.mask_checks.report import MaskReport
from app.mask_checks.work import CheckInput, CheckResult
from app.masking import ChatTokenizer, MaskingError, find_leaks, unmixed, verify, write_arrays
from app.sentences import N_, FailureCode
from worker.work.protocol import Control, JobFailed

DAMAGED: Final = N_("The frozen version's file is damaged: its hash differs. Freeze the dataset again.")
ARRAYS_NAME: Final = "arrays.safetensors"
_PROGRESS_EVERY: Final = 200


def run(job: CheckInput, output_dir: Path, emit: Emit, control: Control) -> CheckResult:
    """Mask and check every conversation of the version."""
    version_file = Path(job.version_file)
    require_undamaged(version_file, job.content_hash)
    emit(EventKind.PHASE, phase=Phase.LOADING_MODEL)
    try:
        tokenizer = ChatTokenizer.from_folder(job.base_model_path, name=job.base_model)
        settings = job.settings.to_settings()
        tokenizer.rendering_with(settings.template_arguments)
    except MaskingError as error:
        raise JobFailed.of(error) from error
    validation = frozenset(item["id"] for item in read_frozen(version_file) if item["split"] == "validation")
    total = sum(1 for _ in read_frozen(version_file))
    emit(EventKind.PHASE, phase=Phase.CHECKING_MASKS)

    def progress(done: int) -> None:
        control.raise_if_cancelled()
        if done % _PROGRESS_EVERY == 0 or done == total:
            emit(EventKind.PROGRESS, step=done, total_steps=total)

    try:
        report, arrays = verify(
            tokenizer,
            ((item["id"], item) for item in read_frozen(version_file)),
            settings,
            base_model=job.base_model,
            validation_ids=validation,
            progress=progress,
        )
    except (
        MaskingError
    ) as error:  # a template that breaks the rules; a conversation's refusal is in the report
        raise JobFailed.of(error) from error
    if not len(arrays):
        return CheckResult(report=MaskReport.of(report))
    arrays_hash = write_arrays(output_dir / ARRAYS_NAME, arrays)
    # The arrays' own hash is over ids and labels; which of them are held out stands in the file as well.
    told = MaskReport.of(
        report,
        file_hash=file_sha256(output_dir / ARRAYS_NAME),
        leaks=find_leaks(arrays),
        to_train=unmixed(arrays).amount(mixed=False),
    )
    return CheckResult(report=told, arrays=ARRAYS_NAME, arrays_hash=arrays_hash)


def require_undamaged(path: Path, content_hash: str) -> None:
    """Raises JobFailed when the file is not what was frozen."""
    if file_sha256(path) != content_hash:
        raise JobFailed(FailureCode.DATA_CHANGED, DAMAGED)


def read_frozen(path: Path) -> Iterator[FrozenConversation]:
    """Conversations of a frozen file, one at a time."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
