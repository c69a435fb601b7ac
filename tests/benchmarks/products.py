"""The limit of a training step: its own matrix products alone, at the speed at which this machine multiplies.

`limit_of` measures them in a process of its own. Counted are the products of the linear layers, forward and back, of their
adapters and of the output layer at trained tokens; those inside attention and everything that is no product are not.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Final

_SECONDS_A_SHAPE: Final = 0.05


@dataclass(frozen=True)
class Step:
    """Of one batch: `tokens` and `trained` ones among them, in so many `lanes`; `precision` as torch names it."""

    model: str
    tokens: int
    trained: int
    rank: int
    lanes: int
    precision: str


@dataclass(frozen=True)
class Limit:
    """Seconds of the products of one batch, and how quick they were: 10^9 multiplications and additions a second."""

    seconds: float
    gflops: float


# Rows, what is summed over, columns; and which factor lies transposed in memory: "" none, "l" left, "r" right.
Product = tuple[int, int, int, str]


def limit_of(step: Step) -> Limit:
    """Measured now, in the surroundings that a trainer has."""
    command = (sys.executable, "-m", "tests.benchmarks.products", json.dumps(asdict(step)))
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return Limit(**json.loads(found.stdout))


def products(
    step: Step, layers: list[tuple[int, int]], head: tuple[int, int], chunk: int
) -> Counter[Product]:
    """What each lane multiplies; `layers` and `head` are (outputs, inputs), `chunk` rows meet the output layer at a time."""
    rows, rank = max(1, step.tokens // step.lanes), step.rank
    found: Counter[Product] = Counter()
    for out, into in layers:
        forward: list[Product] = [(rows, into, out, "r"), (rows, into, rank, "r"), (rows, rank, out, "r")]
        back: list[Product] = [
            (rows, out, into, ""),
            (rows, out, rank, ""),
            (rows, rank, into, ""),
            (out, rows, rank, "l"),
            (rank, rows, into, "l"),
        ]
        found.update(forward + back)
    vocabulary, width = head
    left = max(1, step.trained // step.lanes)
    while left > 0:
        part = min(left, chunk)
        found.update([(part, width, vocabulary, "r"), (part, vocabulary, width, "")])
        left -= part
    return found


def operations(found: Counter[Product]) -> int:
    """Multiplications and additions."""
    return sum(2 * rows * over * columns * times for (rows, over, columns, _), times in found.items())


def measure(step: Step) -> Limit:
    """In this process."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from worker.work.training.loss import CHUNK_LOGITS

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(step.model))
    head = model.get_output_embeddings().weight.shape
    layers = [
        tuple(module.weight.shape)
        for module in model.get_decoder().modules()
        if isinstance(module, torch.nn.Linear)
    ]
    found = products(step, layers, tuple(head), max(1, CHUNK_LOGITS // head[0]))
    seconds = sum(times * _seconds(product, step) for product, times in found.items())
    return Limit(seconds, step.lanes * operations(found) / seconds / 1e9)


def _seconds(product: Product, step: Step) -> float:
    """Of one product while all lanes do the same, each in a thread of its own."""
    import torch

    rows, over, columns, transposed = product
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = getattr(torch, step.precision)

    def lane(_number: int) -> float:
        torch.set_num_threads(1)
        left = torch.rand((over, rows) if transposed == "l" else (rows, over), dtype=dtype, device=device)
        right = torch.rand(
            (columns, over) if transposed == "r" else (over, columns), dtype=dtype, device=device
        )
        factors = left.t() if transposed == "l" else left, right.t() if transposed == "r" else right
        torch.mm(*factors)
        began, times = time.perf_counter(), 0
        while time.perf_counter() - began < _SECONDS_A_SHAPE:
            torch.mm(*factors)
            times += 1
            if device.type == "cuda":
                torch.cuda.synchronize()
        return (time.perf_counter() - began) / times

    with ThreadPoolExecutor(step.lanes) as lanes:
        return sum(lanes.map(lane, range(step.lanes))) / step.lanes


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Step(**json.loads(sys.argv[1]))))))
