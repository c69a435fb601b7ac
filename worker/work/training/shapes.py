"""Rows beside those that are wanted, so that products in bf16 on a CPU meet few different shapes.

oneDNN compiles a product for each shape, 1 to 8 ms apiece: where every batch has another number of tokens, that was 6 % of a step.
Numbers of tokens by the sixteen recur. So many rows are multiplied at a time anyway, and those that are added reach no loss.
"""

from typing import Final

import torch
from torch.nn import functional

ROWS: Final = 16


def rows_beside(count: int, factor: torch.Tensor) -> int:
    """How many rows more than `count` a product with `factor` is to have."""
    return -count % ROWS if is_compiled_for(factor) else 0


def with_rows_beside(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """x: [rows, width], and below it rows of zeros."""
    beside = rows_beside(len(x), factor)
    return functional.pad(x, (0, 0, 0, beside)) if beside else x


def is_compiled_for(factor: torch.Tensor) -> bool:
    """Whether products with `factor` are compiled for their shapes."""
    return factor.device.type == "cpu" and factor.dtype == torch.bfloat16
