"""The Triton kernels of `ltlib.models.kernels`. Imported only where they are to run: it needs triton.

Images are [N, H, W, C] in memory, positions n, h, w counted through. A layer's input is an `activation`: a tensor as it
is, or ``relu(scale y + shift + residual)`` of the convolution before, computed where it is read. A layer's output
gradient is ``a g + b + c y`` of the gradient g behind its normalisation: batch normalisation's own gradient is of that
form, with three numbers a channel. All sums are in float32 and in a fixed order: what several programs add, they write
down side by side, and a second kernel adds it. No atomics. Loops over the window are not unrolled: nine times the
code takes minutes to compile.

``norm`` is float32 [5, C]: mean, 1 / standard deviation, scale, shift, variance. ``WIDE`` multiplies in float32.
"""

import triton
import triton.language as tl


@triton.jit
def product(a, b, total, WIDE: tl.constexpr):
    """``total + a b``; operands of two bytes, which have their products exact in float32 either way."""
    if WIDE:
        result = tl.dot(a.to(tl.float32), b.to(tl.float32), total, input_precision="ieee")
    else:
        result = tl.dot(a, b, total)
    return result


@triton.jit
def activation(
    x,
    norm,
    res,
    at,
    inside,
    C: tl.constexpr,
    CRES: tl.constexpr,
    BEFORE: tl.constexpr,
    NORM: tl.constexpr,
    RES: tl.constexpr,
):
    """float32 [B, C] at positions `at`, zero where not `inside`. A residual of fewer channels begins at `BEFORE`."""
    channel = tl.arange(0, C)
    value = tl.load(x + at[:, None] * C + channel[None, :], mask=inside[:, None], other=0.0).to(tl.float32)
    if NORM:
        scale, shift = tl.load(norm + 2 * C + channel), tl.load(norm + 3 * C + channel)
        value = value * scale[None, :] + shift[None, :]
        if RES:
            own = channel - BEFORE
            there = inside[:, None] & ((own >= 0) & (own < CRES))[None, :]
            value += tl.load(res + at[:, None] * CRES + own[None, :], mask=there, other=0.0).to(tl.float32)
        value = tl.where(value < 0, 0.0, value)  # a NaN stays one, so that it is found
        value = tl.where(inside[:, None], value, 0.0)
    return value


@triton.jit
def gradient(grad, y, turn, at, inside, C: tl.constexpr):
    """float32 [B, C]: the gradient of a convolution's output at positions `at`, zero where not `inside`."""
    channel = tl.arange(0, C)
    place = at[:, None] * C + channel[None, :]
    g = tl.load(grad + place, mask=inside[:, None], other=0.0).to(tl.float32)
    value = tl.load(y + place, mask=inside[:, None], other=0.0).to(tl.float32)
    a, b, c = tl.load(turn + channel), tl.load(turn + C + channel), tl.load(turn + 2 * C + channel)
    return tl.where(inside[:, None], a[None, :] * g + b[None, :] + c[None, :] * value, 0.0)


@triton.jit
def convolve(
    x,
    norm,
    res,
    weight,
    y,
    kept,
    sums,
    H,
    W,
    HO,
    WO,
    positions,
    w_out,
    w_in,
    w_row,
    w_column,
    CIN: tl.constexpr,
    COUT: tl.constexpr,
    CRES: tl.constexpr,
    BEFORE: tl.constexpr,
    STRIDE: tl.constexpr,
    NORM: tl.constexpr,
    RES: tl.constexpr,
    KEEP: tl.constexpr,
    BLOCK: tl.constexpr,
    WIDE: tl.constexpr,
):
    """A block of output positions [BLOCK, COUT], and by channel its mean and squared deviations: sums [2, COUT].

    Args:
        kept: The activation in the middle of each window [positions, CIN], written where `KEEP`: the next residual.
        positions: Of the output.
    """
    number = tl.program_id(0)
    out = number * BLOCK + tl.arange(0, BLOCK)
    real = out < positions
    n, h, w = out // (HO * WO), out % (HO * WO) // WO * STRIDE, out % WO * STRIDE
    cin, cout = tl.arange(0, CIN), tl.arange(0, COUT)
    total = tl.zeros((BLOCK, COUT), dtype=tl.float32)
    for tap in range(9):
        row, column = h + (tap // 3 - 1), w + (tap % 3 - 1)
        inside = real & (row >= 0) & (row < H) & (column >= 0) & (column < W)
        at = (n * H + row) * W + column
        a = activation(x, norm, res, at, inside, CIN, CRES, BEFORE, NORM, RES).to(y.dtype.element_ty)
        if KEEP:
            tl.store(kept + out[:, None] * CIN + cin[None, :], a, mask=(real & (tap == 4))[:, None])
        place = cin[:, None] * w_in + cout[None, :] * w_out + (tap // 3) * w_row + (tap % 3) * w_column
        total = product(a, tl.load(weight + place).to(y.dtype.element_ty), total, WIDE)
    stored = total.to(y.dtype.element_ty)
    tl.store(y + out[:, None] * COUT + cout[None, :], stored, mask=real[:, None])
    value = tl.where(real[:, None], stored.to(tl.float32), 0.0)
    count = tl.minimum(positions - number * BLOCK, BLOCK).to(tl.float32)
    mean = tl.sum(value, 0) / count
    apart = tl.where(real[:, None], value - mean[None, :], 0.0)
    tl.store(sums + number * 2 * COUT + cout, mean)
    tl.store(sums + number * 2 * COUT + COUT + cout, tl.sum(apart * apart, 0))


@triton.jit
def statistics(
    sums, gamma, beta, norm, blocks, positions, eps, C: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr
):
    """The batch's statistics of all blocks, and what they make of a channel: `norm`. One program."""
    channel = tl.arange(0, C)
    total = tl.zeros((C,), dtype=tl.float32)
    for start in range(0, blocks, ROWS):
        i = start + tl.arange(0, ROWS)
        count = tl.where(i < blocks, tl.minimum(positions - i * BLOCK, BLOCK), 0).to(tl.float32)
        means = tl.load(sums + i[:, None] * 2 * C + channel[None, :], mask=(i < blocks)[:, None], other=0.0)
        total += tl.sum(means * count[:, None], 0)
    mean = total / positions
    squares = tl.zeros((C,), dtype=tl.float32)
    for start in range(0, blocks, ROWS):
        i = start + tl.arange(0, ROWS)
        count = tl.where(i < blocks, tl.minimum(positions - i * BLOCK, BLOCK), 0).to(tl.float32)
        place, there = sums + i[:, None] * 2 * C + channel[None, :], (i < blocks)[:, None]
        apart = tl.load(place, mask=there, other=0.0) - mean[None, :]
        squares += tl.sum(tl.load(place + C, mask=there, other=0.0) + count[:, None] * apart * apart, 0)
    variance = squares / positions
    inverse = 1.0 / tl.sqrt(variance + eps)
    scale = tl.load(gamma + channel) * inverse
    tl.store(norm + channel, mean)
    tl.store(norm + C + channel, inverse)
    tl.store(norm + 2 * C + channel, scale)
    tl.store(norm + 3 * C + channel, tl.load(beta + channel) - mean * scale)
    tl.store(norm + 4 * C + channel, variance)


@triton.jit
def norm_sums(value, x, norm, at, real, sums, number, C: tl.constexpr):
    """A block's part of a normalisation's gradient, [2, C]: sums of the gradient, and of it times the normalised x."""
    channel = tl.arange(0, C)
    mean, inverse = tl.load(norm + channel), tl.load(norm + C + channel)
    y = tl.load(x + at[:, None] * C + channel[None, :], mask=real[:, None], other=0.0).to(tl.float32)
    normalised = tl.where(real[:, None], (y - mean[None, :]) * inverse[None, :], 0.0)
    tl.store(sums + number * 2 * C + channel, tl.sum(value, 0))
    tl.store(sums + number * 2 * C + C + channel, tl.sum(value * normalised, 0))


@triton.jit
def norm_gradient(sums, norm, gamma, turn, of_gamma, of_beta, blocks, positions, C: tl.constexpr, ROWS: tl.constexpr):
    """Gradients of a normalisation's own numbers, and `turn` [3, C] for `gradient`. One program."""
    channel = tl.arange(0, C)
    plain, times = tl.zeros((C,), dtype=tl.float32), tl.zeros((C,), dtype=tl.float32)
    for start in range(0, blocks, ROWS):
        i = start + tl.arange(0, ROWS)
        place, there = sums + i[:, None] * 2 * C + channel[None, :], (i < blocks)[:, None]
        plain += tl.sum(tl.load(place, mask=there, other=0.0), 0)
        times += tl.sum(tl.load(place + C, mask=there, other=0.0), 0)
    mean, inverse = tl.load(norm + channel), tl.load(norm + C + channel)
    a = tl.load(gamma + channel) * inverse
    c = -a * inverse * (times / positions)
    tl.store(turn + channel, a)
    tl.store(turn + C + channel, -a * (plain / positions) - c * mean)
    tl.store(turn + 2 * C + channel, c)
    tl.store(of_gamma + channel, times)
    tl.store(of_beta + channel, plain)


@triton.jit
def input_gradient(
    grad,
    y,
    turn,
    weight,
    extra,
    x,
    norm,
    res,
    out,
    sums,
    H,
    W,
    HO,
    WO,
    positions,
    w_out,
    w_in,
    w_row,
    w_column,
    CIN: tl.constexpr,
    COUT: tl.constexpr,
    CRES: tl.constexpr,
    BEFORE: tl.constexpr,
    CX: tl.constexpr,
    BEFORE_X: tl.constexpr,
    STRIDE: tl.constexpr,
    NORM: tl.constexpr,
    RES: tl.constexpr,
    EXTRA: tl.constexpr,
    BLOCK: tl.constexpr,
    WIDE: tl.constexpr,
):
    """A block of input positions [BLOCK, CIN]: the gradient before the input's ReLU, and its sums if it is normalised.

    Args:
        extra: What comes back through the shortcut, [N, HO, WO, CX], added where `EXTRA`.
        positions: Of the input.
    """
    number = tl.program_id(0)
    at = number * BLOCK + tl.arange(0, BLOCK)
    real = at < positions
    n, h, w = at // (H * W), at % (H * W) // W, at % W
    cin, cout = tl.arange(0, CIN), tl.arange(0, COUT)
    total = tl.zeros((BLOCK, CIN), dtype=tl.float32)
    for tap in range(9):
        up, left = h + (1 - tap // 3), w + (1 - tap % 3)
        whole = (up >= 0) & (left >= 0) & (up % STRIDE == 0) & (left % STRIDE == 0)
        row, column = up // STRIDE, left // STRIDE
        inside = real & whole & (row < HO) & (column < WO)
        g = gradient(grad, y, turn, (n * HO + row) * WO + column, inside, COUT).to(out.dtype.element_ty)
        place = cout[:, None] * w_out + cin[None, :] * w_in + (tap // 3) * w_row + (tap % 3) * w_column
        total = product(g, tl.load(weight + place).to(out.dtype.element_ty), total, WIDE)
    if EXTRA:
        there = real & (h % STRIDE == 0) & (w % STRIDE == 0)
        place = ((n * HO + h // STRIDE) * WO + w // STRIDE)[:, None] * CX + (cin + BEFORE_X)[None, :]
        total += tl.load(extra + place, mask=there[:, None], other=0.0).to(tl.float32)
    if NORM:
        total = tl.where(activation(x, norm, res, at, real, CIN, CRES, BEFORE, NORM, RES) > 0, total, 0.0)
    stored = total.to(out.dtype.element_ty)
    tl.store(out + at[:, None] * CIN + cin[None, :], stored, mask=real[:, None])
    if NORM:
        norm_sums(tl.where(real[:, None], stored.to(tl.float32), 0.0), x, norm, at, real, sums, number, CIN)


@triton.jit
def weight_gradient(
    x,
    norm,
    res,
    grad,
    y,
    turn,
    parts,
    H,
    W,
    HO,
    WO,
    positions,
    steps,
    CIN: tl.constexpr,
    COUT: tl.constexpr,
    CRES: tl.constexpr,
    BEFORE: tl.constexpr,
    STRIDE: tl.constexpr,
    NORM: tl.constexpr,
    RES: tl.constexpr,
    BLOCK: tl.constexpr,
    WIDE: tl.constexpr,
):
    """One row of the kernel over `steps` blocks of output positions: three of its parts [part, 3, 3, CIN, COUT]."""
    part, tap_row = tl.program_id(0), tl.program_id(1)
    cin, cout = tl.arange(0, CIN), tl.arange(0, COUT)
    first = tl.zeros((CIN, COUT), dtype=tl.float32)
    second, third = first, first
    for step in range(steps):
        out = (part * steps + step) * BLOCK + tl.arange(0, BLOCK)
        real = out < positions
        n, h, w = out // (HO * WO), out % (HO * WO) // WO * STRIDE, out % WO * STRIDE
        g = gradient(grad, y, turn, out, real, COUT).to(x.dtype.element_ty)
        row = h + tap_row - 1
        at = (n * H + row) * W + w
        fits = real & (row >= 0) & (row < H)
        a = activation(x, norm, res, at - 1, fits & (w >= 1), CIN, CRES, BEFORE, NORM, RES).to(x.dtype.element_ty)
        first = product(tl.trans(a), g, first, WIDE)
        a = activation(x, norm, res, at, fits, CIN, CRES, BEFORE, NORM, RES).to(x.dtype.element_ty)
        second = product(tl.trans(a), g, second, WIDE)
        a = activation(x, norm, res, at + 1, fits & (w + 1 < W), CIN, CRES, BEFORE, NORM, RES).to(x.dtype.element_ty)
        third = product(tl.trans(a), g, third, WIDE)
    place = (part * 3 + tap_row) * 3 * CIN * COUT + cin[:, None] * COUT + cout[None, :]
    tl.store(parts + place, first)
    tl.store(parts + place + CIN * COUT, second)
    tl.store(parts + place + 2 * CIN * COUT, third)


@triton.jit
def add_parts(
    parts,
    out,
    count,
    w_out,
    w_in,
    w_row,
    w_column,
    CIN: tl.constexpr,
    COUT: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
):
    """The parts of a weight gradient added, `ROWS` at a time, in the weight's own layout."""
    size: tl.constexpr = 9 * CIN * COUT
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, count, ROWS):
        part = start + tl.arange(0, ROWS)
        there = (part < count)[:, None] & (i < size)[None, :]
        total += tl.sum(tl.load(parts + part[:, None] * size + i[None, :], mask=there, other=0.0), 0)
    tap, cin, cout = i // (CIN * COUT), i // COUT % CIN, i % COUT
    tl.store(out + cout * w_out + cin * w_in + (tap // 3) * w_row + (tap % 3) * w_column, total, mask=i < size)


@triton.jit
def activate(
    x,
    norm,
    res,
    out,
    positions,
    C: tl.constexpr,
    CRES: tl.constexpr,
    BEFORE: tl.constexpr,
    RES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """``relu(scale y + shift + residual)`` written down."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real, channel = at < positions, tl.arange(0, C)
    value = activation(x, norm, res, at, real, C, CRES, BEFORE, True, RES)
    tl.store(out + at[:, None] * C + channel[None, :], value.to(out.dtype.element_ty), mask=real[:, None])


@triton.jit
def activation_gradient(
    grad,
    x,
    norm,
    res,
    out,
    sums,
    positions,
    C: tl.constexpr,
    CRES: tl.constexpr,
    BEFORE: tl.constexpr,
    RES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The gradient before the ReLU of `activate`, and its sums as in `input_gradient`."""
    number = tl.program_id(0)
    at = number * BLOCK + tl.arange(0, BLOCK)
    real, channel = at < positions, tl.arange(0, C)
    place = at[:, None] * C + channel[None, :]
    value = tl.load(grad + place, mask=real[:, None], other=0.0)
    value = tl.where(activation(x, norm, res, at, real, C, CRES, BEFORE, True, RES) > 0, value, 0.0)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=real[:, None])
    norm_sums(value.to(tl.float32), x, norm, at, real, sums, number, C)
