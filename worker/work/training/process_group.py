"""Several processes that train one run: what they tell each other, and how they start and end together.

Each process has the whole model and every n-th batch; a step's gradients are added up before they are clipped, so that
all of them take the very same step, which is the one that a single process would take with n times the accumulation.
Process 0 is the job's own child: it alone speaks to the worker, measures, saves and decides. torch's `c10d` carries
it, over gloo on CPUs and NCCL on GPUs; documents go as JSON, since what torch offers for objects is pickle.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import distributed

from app.core.errors import Invalid
from app.jobs.devices import VISIBLE
from app.recipes import processes
from app.runs.work import TrainInput
from app.sentences import FailureCode
from worker.effort import ASKS_WHERE, TO_TELL_SECONDS
from worker.memory_kills import MemoryKills
from worker.work.protocol import JobFailed
from worker.work.training.devices import peak_memory_bytes
from worker.work.training.meetings import Meetings, Patience
from worker.work.training.process_ends import hangs, has_ended, is_late

# Below the attempt's own folder.
FOLDER: Final = ".processes"
JOB: Final = "job.json"
_RENDEZVOUS: Final = "rendezvous"
# The others wait as long as process 0 saves, or lets the model answer: they end when it does, however that is.
_OF_THE_OTHERS: Final = timedelta(days=365)
# Of process 0 between GPUs, where NCCL ends a process that waits in vain: shares of a step are alike there.
_BETWEEN_GPUS: Final = timedelta(minutes=40)
# What process 0 waits for another that shows no sign of life, and for one that computes: by the clock, or by what its own share took.
STILL_SECONDS: Final = 600.0
BUSY_SECONDS: Final = 7200.0
BUSY_SHARES: Final = 4
BUSY_ON_GPUS_SECONDS: Final = 1800.0
LOOK_SECONDS: Final = 1.0
# Killed, it is gone at once, unless a disk that does not answer holds it.
_TO_GO_SECONDS: Final = 20.0
# How long after the end of a connection the process behind it may still be writing why.
_LAST_WORDS_SECONDS: Final = 20.0
# Numbers that are added up in one go.
_BUCKET: Final = 2**24


@dataclass
class ProcessGroup:
    """One process of `size`; with a size of 1 nothing is sent anywhere and every answer is one's own.

    `folder` is private to the group: the job, where they meet, and why one of them failed.
    """

    rank: int = 0
    size: int = 1
    folder: Path | None = None
    others: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    on_gpus: bool = False
    kills: MemoryKills = field(default_factory=MemoryKills.now)
    _others_peak: int = 0
    _meetings: Meetings | None = None
    # When the last meeting was over.
    _met: float = field(default_factory=time.monotonic)

    @property
    def leads(self) -> bool:
        """Whether this is the process that measures, saves and decides."""
        return self.rank == 0

    # What they tell each other

    def total(self, *numbers: int) -> list[int]:
        """Each number, added up over all processes."""
        if self.size == 1:
            return list(numbers)
        found = torch.tensor(numbers, dtype=torch.int64)
        self._add_up(found)
        return [int(number) for number in found]

    def total_of(self, number: float) -> float:
        """A number that is no whole one, added up over all processes."""
        if self.size == 1:
            return number
        found = torch.tensor(number, dtype=torch.float64)
        self._add_up(found)
        return float(found)

    def led(self, document: Any) -> Any:
        """Process 0's document, in every process."""
        if self.size == 1:
            return document
        written = json.dumps(document).encode() if self.leads else b""
        [length] = self.total(len(written))
        carried = torch.zeros(length, dtype=torch.uint8)
        if self.leads:
            carried += torch.frombuffer(bytearray(written), dtype=torch.uint8)
        # To nothings, rather than a broadcast, which leaves the sender before everybody has come.
        self._add_up(carried)
        return json.loads(bytes(carried.tolist()))

    def tell_peaks(self, device: torch.device) -> None:
        """Process 0 learns what memory the others had at their peaks, for `peak_memory`. Every process has to say it."""
        own = np.array([0 if self.leads else peak_memory_bytes(device)])
        if device.type == "cuda":
            self.largest(own)
            self._others_peak = int(own[0])
        else:
            [self._others_peak] = self.total(int(own[0]))

    def peak_memory(self, device: torch.device) -> int:
        """Bytes: of the fullest GPU, or of all processes together where they share the machine's memory."""
        own = peak_memory_bytes(device)
        return max(own, self._others_peak) if device.type == "cuda" else own + self._others_peak

    def largest(self, values: np.ndarray[Any, Any]) -> None:
        """In place: the largest value that any process has at each position."""
        if self.size > 1:
            self._meet(torch.from_numpy(values), distributed.ReduceOp.MAX)

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor) -> torch.Tensor:
        """Let every parameter's gradient be the sum over all processes; returns the sum of their losses.

        A parameter that has a gradient nowhere keeps none: an optimizer passes over it, which is not the same as zero.
        """
        if self.size == 1:
            return loss
        # Over gloo first: it notices a process that has ended, where NCCL would wait for it; and no GPU is waited for.
        there = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32)
        self._add_up(there)
        told = loss.detach().float().reshape(1).clone()
        self._add_up(told)
        for parameter, count in zip(parameters, there.tolist(), strict=True):
            if count and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for bucket in _buckets(gradients):
            together = torch.cat([gradient.reshape(-1) for gradient in bucket])
            self._add_up(together)
            parts = torch.split(together, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))
        return told[0]

    def _add_up(self, numbers: torch.Tensor) -> None:
        self._meet(numbers, distributed.ReduceOp.SUM)

    def _meet(self, numbers: torch.Tensor, op: Any) -> None:
        """In place, what the numbers of all processes make. Raises JobFailed for a process that does not come."""
        if numbers.is_cuda:
            # The device is not waited for; whoever does not come is NCCL's to notice.
            distributed.all_reduce(numbers, op=op)
            return
        assert self._meetings is not None
        self._meetings.come()
        work = distributed.all_reduce(numbers, op=op, async_op=True)
        assert work is not None
        if self.leads:
            patience = Patience()
            while not _is_over(work):
                self._look(patience)
            self._met = time.monotonic()
        # Raises where a connection broke.
        work.wait()

    def _look(self, patience: Patience, seconds: float | None = None) -> None:
        """After another while of waiting. Raises JobFailed for a process that hangs, or is far behind."""
        assert self._meetings is not None
        # One may also stop in the middle of a meeting, when all have come.
        late = self._meetings.missing() or range(1, self.size)
        missing = {rank: self.others[rank - 1].pid for rank in late}
        patience.look(missing, LOOK_SECONDS if seconds is None else seconds)
        hanging = patience.still_for(list(missing), STILL_SECONDS)
        if hanging is not None:
            raise self._hangs(hanging)
        own = time.monotonic() - self._met - patience.waited
        patient = BUSY_ON_GPUS_SECONDS if self.on_gpus else max(BUSY_SECONDS, BUSY_SHARES * own)
        if missing and patience.waited >= patient:
            raise is_late(min(missing), self.size, patience.waited)

    def _hangs(self, rank: int) -> JobFailed:
        with suppress(OSError):
            self.others[rank - 1].send_signal(ASKS_WHERE)
            time.sleep(TO_TELL_SECONDS)
        return hangs(rank, self.size, STILL_SECONDS)

    # How they start and end

    @classmethod
    def started(cls, job: TrainInput, device: torch.device, output_dir: Path) -> "ProcessGroup":
        """The group of a run, with this process as its first. Raises JobFailed where the machine has too little for it."""
        size = job.config.num_processes
        if size == 1:
            return cls()
        require_room(size, device)
        folder = output_dir / FOLDER
        folder.mkdir(mode=0o700, parents=True)
        group = cls(0, size, folder)
        try:
            (folder / JOB).write_text(json.dumps(job.to_json()), "utf-8")
            group._meetings = Meetings(folder, 0, size)
            group.others = [_start(group, rank, device) for rank in range(1, size)]
            group.join(device)
        except BaseException:
            group.end()
            raise
        return group

    def join(self, device: torch.device) -> None:
        """Meet the other processes. On a CPU each takes its share of the cores."""
        # They are on one machine: nothing of theirs is open to the network.
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = "lo"
        self.on_gpus = device.type == "cuda"
        if device.type == "cpu":
            torch.set_num_threads(max(1, torch.get_num_threads() // self.size))
        assert self.folder is not None
        if self._meetings is None:
            self._meetings = Meetings(self.folder, self.rank, self.size)
        self._meetings.come()
        if self.leads:
            self._await_the_others()
        try:
            distributed.init_process_group(
                "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
                store=distributed.FileStore(str(self.folder / _RENDEZVOUS), self.size),  # type: ignore[attr-defined]
                rank=self.rank,
                world_size=self.size,
                timeout=_BETWEEN_GPUS if self.leads and self.on_gpus else _OF_THE_OTHERS,
            )
            self.total(0)
            if self.on_gpus:
                # That GPUs reach each other is seen now, not in the first step.
                distributed.barrier()
        except RuntimeError as error:
            raise self.why(error) from error

    def _await_the_others(self) -> None:
        """Until each has come as far as this: one that ends before would be waited for. Raises JobFailed."""
        assert self._meetings is not None
        patience = Patience()
        while self._meetings.missing():
            ended = next(
                (rank for rank, process in enumerate(self.others, 1) if process.poll() is not None), None
            )
            if ended is not None:
                code = self.others[ended - 1].returncode
                raise has_ended(self.folder, ended, self.size, code, self.kills)
            time.sleep(LOOK_SECONDS / 20)
            self._look(patience, LOOK_SECONDS / 20)

    def begin_step(self, seed: int, step: int) -> None:
        """Draw this step's dropout from a seed of its own. Process 0 goes on with the run's generators, which checkpoints keep."""
        if not self.leads:
            torch.manual_seed((seed * 1_000_003 + step) * MOST_SEEDS + self.rank)

    def why(self, error: Exception) -> Exception:
        """The failure of the process that ended first, where `error` only says that a connection did; else `error`."""
        if not (isinstance(error, distributed.DistError) or "gloo" in str(error)):
            return error
        for rank, process in enumerate(self.others, start=1):
            try:
                code = process.wait(_LAST_WORDS_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return has_ended(self.folder, rank, self.size, code, self.kills)
        return error

    def end(self) -> None:
        """The other processes are gone, and so is the folder."""
        for process in self.others:
            process.kill()
        gone = [_is_gone(process) for process in self.others]
        # A connection to one that is held by a disk stays open, and so would this wait for it.
        if self.size > 1 and all(gone) and distributed.is_initialized():
            if self.on_gpus:
                # NCCL's own end is for all processes of a machine together, and the others are gone. Looked up here: torch
                # promises nothing of this name, and no other run should depend on it.
                distributed.distributed_c10d._abort_process_group()
            else:
                distributed.destroy_process_group()
        if self.leads and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.others, self.folder, self._meetings = [], None, None


# Seeds of different steps and processes do not meet.
MOST_SEEDS: Final = 1024


def require_room(size: int, device: torch.device) -> None:
    """Raises JobFailed where there is no device for each process."""
    on_gpus = device.type == "cuda"
    there = torch.cuda.device_count() if on_gpus else len(os.sched_getaffinity(0))
    try:
        processes.require_room(size, there, on_gpus=on_gpus)
    except Invalid as error:
        raise JobFailed(FailureCode.CONFIG_INVALID, error.sentence) from error


def environment_of(rank: int, device: torch.device) -> dict[str, str]:
    """What another process is given: of several GPUs its own alone, for transformers trains on the first that it sees."""
    if device.type != "cuda":
        return dict(os.environ)
    seen = os.environ.get(VISIBLE)
    own = seen.split(",")[rank] if seen else str(rank)
    return {**os.environ, VISIBLE: own}


def _is_over(work: Any) -> bool:
    """Whether it has come to an end, good or bad, after waiting for that for a while."""
    if not work.is_completed():
        # Also what it ended with, which waiting without a limit raises again.
        with suppress(RuntimeError):
            work.wait(timedelta(seconds=LOOK_SECONDS))
    return bool(work.is_completed())


def _is_gone(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(_TO_GO_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _start(group: ProcessGroup, rank: int, device: torch.device) -> "subprocess.Popen[bytes]":
    """Another process. Its standard input is its lifeline; it stays in this one's session, which the worker ends whole."""
    command = [sys.executable, "-m", "worker.work.training.other_process"]
    command += [str(group.folder), str(rank), str(group.size)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment_of(rank, device),
    )


def _buckets(gradients: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Consecutive gradients of one kind of number that are worth sending together."""
    bucket: list[torch.Tensor] = []
    for gradient in gradients:
        full = sum(one.numel() for one in bucket) >= _BUCKET
        if bucket and (full or bucket[0].dtype != gradient.dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket
