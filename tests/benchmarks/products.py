"""The limit of a training step: its own matrix products alone, at the speed at which this machine multiplies.

`limit_of` measures them in a process of its own. Counted are the products of the linear layers, forward and back, of their
adapters, of the output layer at trained tokens, and inside attention the half that a causal mask leaves; nothing that is no
product is, nor what is computed twice to save memory.
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
    """Of one batch of `conversations`: `tokens` and `trained` ones among them, in so many `lanes`; `precision` as torch names it."""

    model: str
    conversations: int
    tokens: int
    trained: int
    rank: int
    lanes: int
    precision: str


@dataclass(frozen=True)
class Limit:
    """Seconds of the products of one batch, `in_attention` among them, and how quick they were: 10^9 multiplications and
    additions a second."""

    seconds: float
    in_attention: float
    gflops: float


@dataclass(frozen=True)
class Attention:
    """Of each of `layers`: so many `heads` of `width` numbers a token."""

    layers: int
    heads: int
    width: int


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


def attention_products(step: Step, attention: Attention) -> Counter[Product]:
    """What each lane multiplies inside attention, every conversation of the mean length."""
    rows, width = max(2, step.tokens // step.conversations), attention.width
    # A token sees half of its conversation on the mean: so wide are the scores of a row.
    seen = rows // 2
    times = attention.layers * attention.heads * max(1, step.conversations // step.lanes)
    scores: list[Product] = [(rows, width, seen, "r"), (rows, seen, width, "")]
    back: list[Product] = [
        (rows, width, seen, "r"),
        (seen, rows, width, "l"),
        (rows, seen, width, ""),
        (seen, rows, width, "l"),
    ]
    return Counter({product: times * (scores + back).count(product) for product in scores + back})


def operations(found: Counter[Product]) -> int:
    """Multiplications and additions."""
    return sum(2 * rows * over * columns * times for (rows, over, columns, _), times in found.items())


def measure(step: Step) -> Limit:
    """In this process."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from worker.work.training.loss import rows_at_a_time

    config = AutoConfig.from_pretrained(step.model)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings().weight.shape
    layers = [
        tuple(module.weight.shape)
        for module in model.get_decoder().modules()
        if isinstance(module, torch.nn.Linear)
    ]
    found = products(step, layers, tuple(head), rows_at_a_time(head[0], getattr(torch, step.precision)))
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    inside = attention_products(step, Attention(config.num_hidden_layers, heads, width))
    outside_seconds, inside_seconds = (
        sum(times * _seconds(product, step) for product, times in part.items()) for part in (found, inside)
    )
    seconds = outside_seconds + inside_seconds
    return Limit(seconds, inside_seconds, step.lanes * operations(found + inside) / seconds / 1e9)


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
