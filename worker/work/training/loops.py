"""Loops over bf16 numbers, compiled by numba when this module is imported (one to two seconds), for `compiled.py` alone.

A row is read from memory once or twice where torch's operations, each with a result of its own, read and write it six to ten times.
bf16 numbers come as the uint16 that they are in memory; each is rounded where torch's operations round. The lock of the interpreter
is not held meanwhile. Only sums may be reordered, no number is taken to be finite.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import binding, ir
from numba import config, njit, types
from numba.extending import intrinsic

# Numbers at a time, in how many registers: LLVM by itself takes other ones, as it holds rounding to bf16 to be dear.
_WIDTH, _REGISTERS = 16, 2
_BLOCK: Final = _WIDTH * _REGISTERS
binding.set_option("", f"-force-vector-width={_WIDTH}")
binding.set_option("", f"-force-vector-interleave={_REGISTERS}")
# Short rows are copied in registers as well: LLVM would call the C library for each, and say aloud that it cannot vectorize a call.
binding.set_option("", "-disable-loop-idiom-all")

_INT32, _INT16, _FLOAT = ir.IntType(32), ir.IntType(16), ir.FloatType()
_SUMS: Final = {"reassoc", "contract"}
_BF16 = types.Array(types.uint16, 1, "C")
_BF16_ROWS = types.Array(types.uint16, 2, "C")
_BF16_BLOCKS = types.Array(types.uint16, 3, "C")
_FLOATS = types.Array(types.float32, 1, "C")
_FLOAT_ROWS = types.Array(types.float32, 2, "C")
_PLACES = types.Array(types.int64, 1, "C")

_ONE: Final = np.float32(1)
# exp(x) = 2^n * exp(r): n whole, r at most half of ln 2, which is taken away in two parts. What lies outside the limits is 0 or infinite
# in bf16 anyway.
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_WHOLE: Final = np.float32(1.5 * 2**23)
_LEAST, _MOST = np.float32(-87.0), np.float32(89.0)
# 1/k! for k from 7 down: of the series of exp, which ends within one unit in the last place of fp32 there.
_SERIES: Final = tuple(np.float32(1 / factorial) for factorial in (5040, 720, 120, 24, 6, 2, 1, 1))
_P7, _P6, _P5, _P4, _P3, _P2, _P1, _P0 = _SERIES


def _operation(typed: Any) -> Any:
    """What a loop may call and is instructions of the processor."""
    return intrinsic(typed)


class _BFloat(ir.types.Type):  # type: ignore[misc]
    """LLVM's own bf16, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"


def _has_bf16() -> bool:
    """Whether the processor that is compiled for rounds to bf16 by an instruction. For others LLVM would call a function that is not
    there, and the process would die of it.
    """
    named: str | None = vars(config)["CPU_FEATURES"]
    if named is not None:
        return "+avx512bf16" in named.split(",")
    return bool(binding.get_host_cpu_features().get("avx512bf16"))


def _nearest(builder: Any, number: Any) -> Any:
    """The bits of the bf16 nearest to a float32, by whole numbers alone."""
    bits = builder.bitcast(number, _INT32)
    odd = builder.and_(builder.lshr(bits, _INT32(16)), _INT32(1))
    near = builder.lshr(builder.add(builder.add(bits, odd), _INT32(0x7FFF)), _INT32(16))
    kept = builder.select(builder.fcmp_unordered("uno", number, number), _INT32(0x7FC0), near)
    return builder.trunc(kept, _INT16)


@_operation
def _wide(_context: Any, _number: Any) -> Any:
    """The float32 of a bf16."""

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.shl(builder.zext(arguments[0], _INT32), _INT32(16)), _FLOAT)

    return types.float32(types.uint16), code


@_operation
def _narrow(_context: Any, _number: Any) -> Any:
    """The bf16 nearest to a float32, the even one of two; what is no number stays none. Processors with an instruction for it take
    numbers below 2^-126 for nothing.
    """

    by_instruction = _has_bf16()

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        if by_instruction:
            return builder.bitcast(builder.fptrunc(arguments[0], _BFloat()), _INT16)
        return _nearest(builder, arguments[0])

    return types.uint16(types.float32), code


def _turned(builder: Any, bits: Any) -> Any:
    """Below zero bf16 numbers lie the other way round in memory: as int16 that are greater where the numbers are, and back."""
    below = builder.ashr(bits, _INT16(15))
    return builder.xor(bits, builder.and_(below, _INT16(0x7FFF)))


@_operation
def _rank(_context: Any, _number: Any) -> Any:
    """The place of a bf16 among all of them."""

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return _turned(builder, arguments[0])

    return types.int16(types.uint16), code


@_operation
def _at_rank(_context: Any, _rank: Any) -> Any:
    """The bf16 at a place."""

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return _turned(builder, arguments[0])

    return types.uint16(types.int16), code


@_operation
def _power_of_two(_context: Any, _exponent: Any) -> Any:
    """2^n for a whole float32 n from -126 to 128, which gives infinity."""

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        exponent = builder.add(builder.fptosi(arguments[0], _INT32), _INT32(127))
        return builder.bitcast(builder.shl(exponent, _INT32(23)), _FLOAT)

    return types.float32(types.float32), code


def _loop(*arguments: Any, sums: bool = False) -> Callable[[Callable[..., Any]], Any]:
    # numpy's way to divide: no branch for a zero, which would keep the loop from running on whole registers.
    way = _SUMS if sums else False
    decorator: Callable[..., Any] = njit(
        types.void(*arguments), nogil=True, error_model="numpy", fastmath=way
    )
    return decorator


def _part(function: Callable[..., Any]) -> Any:
    """What a loop may call, compiled with it. A product and what is added to it are rounded once where there is an instruction for it."""
    return njit(error_model="numpy", fastmath={"contract"})(function)


@_part
def _rounded(x: Any) -> Any:
    return _wide(_narrow(x))


@_part
def _exp(x: Any) -> Any:
    x = _LEAST if x < _LEAST else x
    x = _MOST if x > _MOST else x
    # So large a number beside it leaves no digits behind the point.
    n = (x * _LOG2_E + _WHOLE) - _WHOLE
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = ((((((_P7 * r + _P6) * r + _P5) * r + _P4) * r + _P3) * r + _P2) * r + _P1) * r + _P0
    return series * _power_of_two(n)


@_loop(_BF16_ROWS, _BF16, types.float32, _BF16_ROWS, _FLOATS, sums=True)
def norm(x: Any, weight: Any, epsilon: Any, out: Any, scale: Any) -> None:
    """out = weight * (x * scale), scale = 1 / sqrt(mean of x^2 + epsilon) of each row."""
    width = np.float32(x.shape[1])
    for row in range(x.shape[0]):
        total = np.float32(0)
        for i in range(x.shape[1]):
            number = _wide(x[row, i])
            total += number * number
        factor = _ONE / np.sqrt(total / width + epsilon)
        scale[row] = factor
        for i in range(x.shape[1]):
            out[row, i] = _narrow(_wide(weight[i]) * _rounded(_wide(x[row, i]) * factor))


@_loop(_BF16_ROWS, _BF16, _FLOATS, _BF16_ROWS)
def norm_again(x: Any, weight: Any, scale: Any, out: Any) -> None:
    """The result of `norm` once more, to the last bit."""
    for row in range(x.shape[0]):
        factor = scale[row]
        for i in range(x.shape[1]):
            out[row, i] = _narrow(_wide(weight[i]) * _rounded(_wide(x[row, i]) * factor))


@_loop(_BF16_ROWS, _BF16_ROWS, _BF16, _FLOATS, _BF16_ROWS, sums=True)
def norm_back(gradient: Any, x: Any, weight: Any, scale: Any, out: Any) -> None:
    """The gradient of `norm` for x: with n = x * scale and g = gradient * weight, scale * (g - n * mean of g * n)."""
    width = np.float32(x.shape[1])
    for row in range(x.shape[0]):
        factor, along = scale[row], np.float32(0)
        for i in range(x.shape[1]):
            along += _rounded(_wide(gradient[row, i]) * _wide(weight[i])) * (_wide(x[row, i]) * factor)
        along = along / width
        for i in range(x.shape[1]):
            weighted = _rounded(_wide(gradient[row, i]) * _wide(weight[i]))
            out[row, i] = _narrow((weighted - _wide(x[row, i]) * factor * along) * factor)


@_loop(_BF16, _BF16, _BF16)
def silu_product(gate: Any, up: Any, out: Any) -> None:
    """out = silu(gate) * up."""
    for i in range(gate.shape[0]):
        number = _wide(gate[i])
        out[i] = _narrow(_rounded(number / (_ONE + _exp(-number))) * _wide(up[i]))


@_loop(_BF16, _BF16, _BF16, _BF16, _BF16)
def silu_product_back(gradient: Any, gate: Any, up: Any, of_gate: Any, of_up: Any) -> None:
    """The gradients of `silu_product`."""
    for i in range(gate.shape[0]):
        number, grad = _wide(gate[i]), _wide(gradient[i])
        sigmoid = _ONE / (_ONE + _exp(-number))
        of_up[i] = _narrow(_rounded(number * sigmoid) * grad)
        slope = sigmoid * (_ONE + number * (_ONE - sigmoid))
        of_gate[i] = _narrow(_rounded(grad * _wide(up[i])) * slope)


@_loop(_BF16_BLOCKS, _BF16_BLOCKS, types.int64, types.int64, types.float32)
def shares(scores: Any, gradients: Any, rows: Any, before: Any, scaling: Any) -> None:
    """In place: scores become exp(score), gradients are multiplied by that and `scaling`; both are 0 where a row looks ahead.

    Both: [groups, seen, heads * rows]; the first of the `rows` sees so many `before` it, and itself.
    """
    for group in range(scores.shape[0]):
        for token in range(scores.shape[1]):
            ahead = min(rows, max(0, token - before))
            for start in range(0, scores.shape[2], rows):
                end = start + rows
                # From where whole blocks reach its end: what is left over of a line would be computed number by number.
                first = max(start, end - (rows - ahead + _BLOCK - 1) // _BLOCK * _BLOCK)
                score, gradient = scores[group, token, first:end], gradients[group, token, first:end]
                for i in range(score.shape[0]):
                    share = _rounded(_exp(_wide(score[i])))
                    score[i] = _narrow(share)
                    gradient[i] = _narrow(share * _wide(gradient[i]) * scaling)
                score, gradient = (
                    scores[group, token, start : start + ahead],
                    gradients[group, token, start : start + ahead],
                )
                for i in range(score.shape[0]):
                    score[i] = 0
                    gradient[i] = 0


@_loop(
    _BF16_BLOCKS,
    _BF16_BLOCKS,
    _BF16_BLOCKS,
    _FLOAT_ROWS,
    types.float32,
    _BF16_BLOCKS,
    _BF16_BLOCKS,
    sums=True,
)
def with_sums(
    query: Any, gradient: Any, output: Any, log_sums: Any, scaling: Any, of_query: Any, of_gradient: Any
) -> None:
    """Queries and gradients [rows, heads, dim] as [heads, more rows, dim + 2]; beside a query -log_sum / scaling, beside a gradient
    minus the sum of its products with the output: each rounded, then what the rounding took away. Zeros where there are no rows.
    """
    dim = query.shape[2]
    for head in range(query.shape[1]):
        for row in range(query.shape[0]):
            along = np.float32(0)
            for i in range(dim):
                of_query[head, row, i] = query[row, head, i]
                of_gradient[head, row, i] = gradient[row, head, i]
                along += _wide(output[row, head, i]) * _wide(gradient[row, head, i])
            for made, number in ((of_query, -log_sums[head, row] / scaling), (of_gradient, -along)):
                made[head, row, dim] = _narrow(number)
                made[head, row, dim + 1] = _narrow(number - _rounded(number))
        for row in range(query.shape[0], of_query.shape[1]):
            for i in range(dim + 2):
                of_query[head, row, i] = 0
                of_gradient[head, row, i] = 0


@_loop(_BF16_BLOCKS, _BF16_BLOCKS)
def for_each_head(x: Any, out: Any) -> None:
    """x[tokens, kv_heads, dim] as out[heads, more tokens, more columns]: a head for several that are neighbours, zeros for tokens
    that there are not, ones in the columns beside."""
    dim, one = x.shape[2], _narrow(_ONE)
    for head in range(out.shape[0]):
        own = head * x.shape[1] // out.shape[0]
        for token in range(x.shape[0]):
            for i in range(dim):
                out[head, token, i] = x[token, own, i]
            for i in range(dim, out.shape[2]):
                out[head, token, i] = one
        for token in range(x.shape[0], out.shape[1]):
            for i in range(out.shape[2]):
                out[head, token, i] = 0


@_loop(_BF16_ROWS, _PLACES, _FLOATS, _FLOATS, sums=True)
def softmax_parts(logits: Any, targets: Any, sums: Any, of_wanted: Any) -> None:
    """In place: exp(logit - highest of its row); each row's sum of that, and the target's logit less the highest."""
    for row in range(logits.shape[0]):
        # Of floats it would be found one number after another: any of them may be none, and that has no order.
        rank = _rank(logits[row, 0])
        for i in range(logits.shape[1]):
            rank = max(rank, _rank(logits[row, i]))
        highest = _wide(_at_rank(rank))
        of_wanted[row] = _wide(logits[row, targets[row]]) - highest
        total = np.float32(0)
        for i in range(logits.shape[1]):
            share = _rounded(_exp(_rounded(_wide(logits[row, i]) - highest)))
            logits[row, i] = _narrow(share)
            total += share
        sums[row] = total


@_part
def _turned_by(first: Any, second: Any, cos: Any, sin: Any) -> Any:
    return _narrow(_rounded(first * cos) + _rounded(second * sin))


@_loop(_BF16_BLOCKS, _BF16_ROWS, _BF16_ROWS, _BF16_BLOCKS)
def rotate(x: Any, cos: Any, sin: Any, out: Any) -> None:
    """out = x * cos + (-second half of x, first half of x) * sin. x: [tokens, heads, dim]; cos, sin: [tokens, dim]."""
    half = x.shape[2] // 2
    for token in range(x.shape[0]):
        for head in range(x.shape[1]):
            for i in range(half):
                j = half + i
                first, second = _wide(x[token, head, i]), _wide(x[token, head, j])
                out[token, head, i] = _turned_by(first, -second, _wide(cos[token, i]), _wide(sin[token, i]))
                out[token, head, j] = _turned_by(second, first, _wide(cos[token, j]), _wide(sin[token, j]))


@_loop(_BF16_BLOCKS, _BF16_ROWS, _BF16_ROWS, _BF16_BLOCKS)
def rotate_back(gradient: Any, cos: Any, sin: Any, out: Any) -> None:
    """The gradient of `rotate` for x: the rotation back, each half by the sine of the other."""
    half = gradient.shape[2] // 2
    for token in range(gradient.shape[0]):
        for head in range(gradient.shape[1]):
            for i in range(half):
                j = half + i
                first, second = _wide(gradient[token, head, i]), _wide(gradient[token, head, j])
                out[token, head, i] = _turned_by(first, second, _wide(cos[token, i]), _wide(sin[token, j]))
                out[token, head, j] = _turned_by(second, -first, _wide(cos[token, j]), _wide(sin[token, i]))
