"""A GGUF file made smaller by llama.cpp's own quantizer, in a process of its own: what is native there may crash."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import gguf

from app.exports.quantizers import PROGRAM, SETTING, NoSuchQuantizer, Quantizer, find_quantizer
from app.files import free_bytes
from app.jobs.events import Phase
from app.line_process import LineProcess
from app.sentences import N_, FailureCode
from worker.exits import Words, judge, refused_memory
from worker.memory_kills import MemoryKills
from worker.work.exporting import quantizing_library
from worker.work.exporting.task import ExportTask
from worker.work.protocol import JobFailed

_NO_QUANTIZER: Final = N_(
    "%(precision)s is made by llama.cpp's %(program)s, which is not installed where the worker runs: put it on the worker's PATH, "
    "name it in %(setting)s, or install llama-cpp-python beside the studio. Or choose f16 or q8_0, from which it can be made elsewhere."
)
_FAILED: Final = N_("%(program)s did not make the file: %(detail)s")
_NOT_STARTED: Final = N_("%(program)s cannot be started (%(path)s): %(detail)s")
_MEMORY: Final = N_(
    "The machine's memory ran out, and the system killed %(program)s (signal %(signal)s) before the file was whole: ask for the export "
    "again when less runs beside it."
)
_KILLED: Final = N_(
    "%(program)s was killed (signal %(signal)s) before the file was whole. Often that is the machine's memory running out: ask for the "
    "export again when less runs beside it."
)
_FROM_OUTSIDE: Final = N_(
    "%(program)s was ended from outside (signal %(signal)s) before the file was whole, and not by the system for want of memory: by a "
    "person, or by a program that watches over this machine."
)
_CRASHED: Final = N_(
    "%(program)s crashed (signal %(signal)s) before the file was whole: it may be built for another processor, which another build mends."
)
_AGAIN: Final = N_(
    "%(program)s was killed (signal %(signal)s), and not by the system for want of memory. Another attempt begins the export anew, once."
)
_REFUSED: Final = N_(
    "The memory ran out before %(program)s had written the file (%(detail)s). This machine has %(memory)s, which all that runs on it "
    "shares: ask for the export again when less runs beside it."
)
_OF_QUANTIZER: Final = Words(_MEMORY, _KILLED, _FROM_OUTSIDE, _AGAIN, _CRASHED, _REFUSED)
_FULL: Final = N_(
    "The disk was full before %(program)s had written the file: free some space under %(folder)s and ask for the export again."
)
_OTHER_MODEL: Final = N_(
    "What %(program)s (%(path)s) made is not the model that it was given (%(detail)s): use one from llama.cpp itself, of this year."
)
# "[  12/ 272] blk.1.attn_k.weight - […], type = f16, converting to q5_0 …"
_TENSOR: Final = re.compile(r"^\[\s*(\d+)\s*/\s*(\d+)\]")
_TELLS_WHY: Final = re.compile(
    r"failed to quantize|error|unknown|unsupported|invalid|cannot|unable", re.IGNORECASE
)
_LISTENS_EVERY: Final = 0.3
# A disk with less than this left is what broke the writing off.
_NOTHING_FREE: Final = 4 << 20


def require_quantizer(named: str | None, precision: str) -> Quantizer:
    """Raises JobFailed where there is none: before the work, not after it."""
    try:
        found = find_quantizer(Path(named) if named else None)
    except NoSuchQuantizer as error:
        raise JobFailed.of(error) from error
    if found is None:
        raise JobFailed(
            FailureCode.NOT_INSTALLED, _NO_QUANTIZER, precision=precision, program=PROGRAM, setting=SETTING
        )
    return found


def quantize(task: ExportTask, quantizer: Quantizer, source: Path, target: Path, precision: str) -> None:
    """`target` from `source`, as llama.cpp mixes the precision. Raises JobFailed, and Cancelled within a second of the wish."""
    task.phase(Phase.QUANTIZING)
    kills = MemoryKills.now()
    try:
        process = LineProcess(_command(quantizer, source, target, precision), log=subprocess.STDOUT)
    except OSError as error:
        raise JobFailed(
            FailureCode.NOT_INSTALLED,
            _NOT_STARTED,
            program=quantizer.name,
            path=str(quantizer.path),
            detail=error.strerror or str(error),
        ) from error
    try:
        said = list(_lines(task, process))
        code = process.wait(_LISTENS_EVERY)
        while code is None:
            task.control.raise_if_cancelled()
            code = process.wait(_LISTENS_EVERY)
    finally:
        process.close()
    if code or not target.is_file():
        raise _explained(quantizer, task.folder, code, said, kills)
    _require_same_model(quantizer, source, target)


def _command(quantizer: Quantizer, source: Path, target: Path, precision: str) -> Sequence[str]:
    threads = str(os.cpu_count() or 1)
    if quantizer.kind == "program":
        return (str(quantizer.path), str(source), str(target), precision.upper(), threads)
    kind = gguf.LlamaFileType[f"MOSTLY_{precision.upper()}"]
    script = str(Path(quantizing_library.__file__))
    return (
        sys.executable, "-I", script, str(quantizer.path), str(source), str(target), str(int(kind)), threads
    )  # fmt: skip


def _lines(task: ExportTask, process: LineProcess) -> Iterator[str]:
    """What it prints; a line for each tensor, which is told as progress."""
    while (line := process.read_line(_LISTENS_EVERY)) != b"":
        task.control.raise_if_cancelled()
        text = (line or b"").decode(errors="replace").strip()
        if found := _TENSOR.match(text):
            task.progress(int(found[1]), int(found[2]))
        elif text:
            yield text


def _explained(
    quantizer: Quantizer, folder: Path, code: int, said: list[str], kills: MemoryKills
) -> JobFailed:
    program = quantizer.name
    if free_bytes(folder) < _NOTHING_FREE:
        return JobFailed(FailureCode.DISK_FULL, _FULL, program=program, folder=str(folder.parent))
    if refused := refused_memory(code, _OF_QUANTIZER, "\n".join(said), program=program):
        return JobFailed.of_exit(refused)
    if code < 0:
        return JobFailed.of_exit(judge(-code, _OF_QUANTIZER, for_memory=kills.one_came(), program=program))
    telling = [line for line in said if _TELLS_WHY.search(line)]
    detail = (telling or said or ["–"])[0 if telling else -1]
    return JobFailed(FailureCode.UNEXPECTED, _FAILED, program=program, detail=detail[:300])


def _require_same_model(quantizer: Quantizer, source: Path, target: Path) -> None:
    """Every tensor in its shape, and every word of the head, vocabulary and template among them."""
    try:
        before, after = gguf.GGUFReader(source), gguf.GGUFReader(target)
    except (ValueError, OSError) as error:
        raise _other(quantizer, str(error)) from error
    shapes = [{one.name: one.shape.tolist() for one in reader.tensors} for reader in (before, after)]
    if shapes[0] != shapes[1]:
        names = sorted(
            name for name in shapes[0].keys() | shapes[1] if shapes[0].get(name) != shapes[1].get(name)
        )
        raise _other(quantizer, ", ".join(names[:5]))
    for name, field in before.fields.items():
        if name.startswith("GGUF.") or name in _SET_ANEW:
            continue
        there = after.fields.get(name)
        if there is None or there.contents() != field.contents():
            raise _other(quantizer, name)


def _other(quantizer: Quantizer, detail: str) -> JobFailed:
    return JobFailed(
        FailureCode.UNEXPECTED,
        _OTHER_MODEL,
        program=quantizer.name,
        path=str(quantizer.path),
        detail=detail[:300],
    )


# What a quantizer has to say otherwise.
_SET_ANEW: Final = ("general.file_type", "general.quantization_version")
