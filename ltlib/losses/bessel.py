"""Logarithms of modified Bessel functions of the first kind, as densities on spheres want them: on any device, in any
precision, with gradients, and without overflow.

What a von Mises-Fisher density of dimension p needs is ``h(x) = I_v(x) / x^v``, v = p / 2 - 1. `log_ratio` gives
``log h(x') - log h(x)`` from ``x^2`` and ``x'^2 - x^2``. The uniform expansion for large orders (DLMF 10.41.3, with the
polynomials U_k of 10.41.9) makes it a sum of small terms, because powers of x drop out: with ``r = sqrt(v^2 + x^2)``

``log h(x) = r - v log(v + r) - log(2 pi r) / 2 + log sum_k U_k(v / r) / v^k``.

So the difference has no cancellation, however large x is, where two logarithms of their own would lose the digits of
float32. Small orders are reached from large ones by the recurrence ``h_{v-1} = 2 v h_v + x^2 h_{v+1}``, whose terms are
all positive. With seven terms from order 24 on, ratios agree with SciPy's `ive` to 1e-11 in float64, and to 1e-4 in
float32, for dimensions from 2 to 256 and x up to 10,000 (tests).
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

LEAST_ORDER = 24.0
TERMS = 7


@lru_cache(maxsize=1)
def debye() -> tuple[tuple[float, ...], ...]:
    """Coefficients of U_1 to U_7 in powers of t^2, lowest first, after a factor t^k.

    ``U_{k+1}(t) = t^2 (1 - t^2) U_k'(t) / 2 + integral from 0 to t of (1 - 5 s^2) U_k(s) ds / 8``.
    """
    found, power = [], {0: Fraction(1)}
    for _ in range(TERMS):
        new: dict[int, Fraction] = {}
        for n, value in power.items():
            for place, factor in (
                (n + 1, Fraction(n, 2) + Fraction(1, 8 * (n + 1))),
                (n + 3, -Fraction(n, 2) - Fraction(5, 8 * (n + 3))),
            ):
                new[place] = new.get(place, Fraction(0)) + value * factor
        power = {n: value for n, value in new.items() if value}
        found.append(tuple(float(power[n]) for n in sorted(power)))
    return tuple(found)


def log_ratio(order: float, squared: Tensor, change: Tensor) -> Tensor:
    """``log h(sqrt(s + d)) - log h(sqrt(s))`` with ``h(x) = I_v(x) / x^v``, s = `squared`, d = `change`.

    Args:
        order: v >= 0.
        squared: float, s >= 0.
        change: float, broadcasts with `squared`; s + d >= 0.
    """
    raised = max(0, int(-(-(LEAST_ORDER - order) // 1)))
    changed = (squared + change).clamp(min=0)
    total = _expanded(order + raised, squared, changed, change)
    if not raised:
        return total
    # h_{v+1} / h_v for both, then down: each step adds log(h_{v-1} / h_v)
    fractions = [_fraction(order + raised, x) for x in (squared, changed)]
    for lower in range(raised):
        v = order + raised - lower
        steps = [2 * v + x * f for x, f in zip((squared, changed), fractions, strict=True)]
        total = total + (steps[1] / steps[0]).log()
        fractions = [1 / step for step in steps]
    return total


def _expanded(order: float, squared: Tensor, changed: Tensor, change: Tensor) -> Tensor:
    r, other = (order**2 + squared).sqrt(), (order**2 + changed).sqrt()
    gap = change / (r + other)
    total = gap - order * (gap / (order + r)).log1p() - 0.5 * (gap / r).log1p()
    return total + _sum(order, other).log1p() - _sum(order, r).log1p()


def _sum(order: float, r: Tensor) -> Tensor:
    """The terms beyond the first, sum over k >= 1 of U_k(v / r) / v^k: in powers of 1 / r and of t^2 = v^2 / r^2."""
    inverse = 1 / r
    square = (order * inverse).square()
    total = torch.zeros_like(r)
    for coefficients in reversed(debye()):
        value = torch.zeros_like(r)
        for c in reversed(coefficients):
            value = value * square + c
        total = (total + value) * inverse
    return total


def _fraction(order: float, squared: Tensor) -> Tensor:
    """``h_{v+1}(x) / h_v(x)`` of a large order: the expansion of both, so with as many terms however large x is."""
    v, w = order, order + 1
    r, other = (v**2 + squared).sqrt(), (w**2 + squared).sqrt()
    gap = (w**2 - v**2) / (r + other)
    log = gap - w * torch.log(w + other) + v * torch.log(v + r) - 0.5 * (gap / r).log1p()
    return (log + _sum(w, other).log1p() - _sum(v, r).log1p()).exp()
