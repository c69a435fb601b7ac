"""What a writer gets: all that is known of the run, the folder to fill, and the ways to tell of progress and of notes."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.core.stored_models import Told
from app.exports.card import PROVENANCE
from app.exports.work import ExportInput
from app.files import free_bytes
from app.jobs.events import Emit, EventKind, Phase
from app.runs.provenance import Provenance
from app.sentences import N_, FailureCode, Sentence
from worker.work.model_folders import require_base_model
from worker.work.protocol import Control, JobFailed

_LACKS: Final = N_(
    "This export needs %(needed)d MB under %(folder)s and %(free)d MB are free: delete exports that nobody needs, or "
    "make room, and ask for it again."
)


@dataclass(frozen=True)
class ExportTask:
    """One export. `folder` is empty; what is in it when the writer returns are the export's files."""

    input: ExportInput
    folder: Path
    emit: Emit
    control: Control
    notes: list[Told] = field(default_factory=list)

    @property
    def adapter(self) -> Path:
        """The adapter's folder."""
        return Path(self.input.adapter_path)

    @property
    def base(self) -> Path:
        """The base model's folder. Raises JobFailed where it is gone."""
        path = Path(self.input.base_model_path)
        require_base_model(path)
        return path

    @property
    def provenance(self) -> Provenance:
        """What the run was made of when it was trained: kept beside the adapter, whatever was erased since."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept: Mapping[str, Any] = json.loads((self.adapter / PROVENANCE).read_text("utf-8"))
            return Provenance.stored(kept["provenance"])
        return self.input.provenance

    def choice(self, name: str) -> str:
        """What was chosen, or the default."""
        return self.input.choices[name]

    def phase(self, phase: Phase) -> None:
        """The work goes over to this phase. Raises Cancelled when it should end."""
        self.control.raise_if_cancelled()
        self.emit(EventKind.PHASE, phase=phase)

    def progress(self, done: int, total: int) -> None:
        """So much of it is done. Raises Cancelled when it should end."""
        self.control.raise_if_cancelled()
        self.emit(EventKind.PROGRESS, step=done, total_steps=total)

    def note(self, template: str, /, **values: object) -> None:
        """Something that whoever uses the files should know; kept with the export, and told in the reader's language."""
        self.notes.append(Told(sentence=Sentence.of(template, **values)))

    def require_space(self, needed_bytes: int) -> None:
        """Raises JobFailed, in MB, where the disk has less free than the files will take."""
        free = free_bytes(self.folder)
        if free < needed_bytes:
            raise JobFailed(
                FailureCode.DISK_FULL,
                _LACKS,
                needed=-(-needed_bytes // 2**20),
                folder=str(self.folder.parent),
                free=free // 2**20,
            )

    def write_text(self, name: str, text: str) -> None:
        """A text file of the export, in UTF-8."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
