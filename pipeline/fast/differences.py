"""Numerical differentiation of [affine, activation, affine] under cross-entropy, made fast by its structure.

A move of W1[i, j] by h moves one number of each image n: the pre-activation a[n, j], by s = h x[n, i]. If act(a[n, j])
changes by d, the logits move by d W2[j]. With the probabilities p[n, k] before the move and the target t of the image,

    loss after - loss before  =  log(sum over k of p[n, k] exp(d u[k])),    u[k] = W2[j, k] - t[n] . W2[j]

without the rounding of two whole losses. A central difference is the mean over images of the change for +s minus the
change for -s. W2[j, k] moves logit (n, k) by h z[n, j] in the same way: as if a layer with weights of 1 followed. A
bias is the weight of an input of 1. No step cancels: each formula keeps its relative error for moves of any size.

The change for s minus the change for -s is an odd function of s. Where s stays small, a s + b s s s describes it: two
probes give a and b, and two matrix products the sums over images. NEAR is the limit of small s. For larger s each loss
is evaluated.
Shapes: N images, I inputs and M outputs of a layer, K classes; everything is float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.gradients import Gradient
from pipeline.nn.losses import cross_entropy, mean
from pipeline.nn.net import Draw, Net, forward, operands, size

# Let c[m] be the coefficients of that odd function, A = |act'(a)| sum of p |u|, U the spread of W2[j], |s| <= S and
# q = S (curve + 7.5 slope U). By Cauchy's estimate on the disc |s| < S / q, |c[m]| S**m <= 9 A S q**(m - 1); and
# |c[5]| S**5 <= A S q**4 / 60, because no derivative of the sigmoid up to the fifth exceeds the first. The cubic
# through S / 2 and S misses s**5 by 0.12 S**5 at most. So for q <= NEAR it is off by less than 2**-37 of 2 A S, which
# is the most that the difference can be.
NEAR = 2.0**-7
HUGE = 600.0  # exp of this is far from an overflow


class Move(NamedTuple):
    """by: (a, s) -> act(a + s) - act(a). curve, slope: what NEAR needs. bends: whether act has a corner at 0."""

    by: Callable[[Array, Array], Array]
    curve: float
    slope: float
    bends: bool = False


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), precise to its last digits near 0 and near 1."""
    small = np.exp(-np.abs(x))
    result: Array = np.where(x < 0, small, 1) / (1 + small)
    return result


def logistic_move(a: Array, s: Array) -> Array:
    """With v the lower and w the higher of a and a + s: f(w) - f(v) = f(w) f(-v) (1 - exp(v - w))."""
    low, high = a + np.minimum(s, 0), a + np.maximum(s, 0)
    result: Array = logistic(high) * logistic(-low) * -np.expm1(-np.abs(s)) * np.sign(s)
    return result


MOVES = {
    "sigmoid": Move(logistic_move, 1.0, 0.25),
    "tanh": Move(lambda a, s: 2 * logistic_move(2 * a, 2 * s), 2.0, 1.0),  # tanh x = 2 sigmoid(2 x) - 1
    "relu": Move(lambda a, s: np.maximum(s, -a) + np.minimum(a, 0), 0.0, 1.0, bends=True),
}
LOGITS = Move(lambda a, s: s, 0.0, 1.0)


def has_structure(net: Net, loss: str) -> bool:
    """Whether `differences` knows the net and the loss, a word and its numbers."""
    words = [word for word, _ in net.words]
    return len(words) == 3 and words[::2] == ["affine"] * 2 and words[1] in MOVES and loss.startswith("cross_entropy")


def differences(ops: Arithmetic, net: Net, weights: Array, grads: Array, step: float, smoothing: float) -> Gradient:
    """Central differences as in pipeline.nn.gradients.numerical, for [affine, sigmoid | tanh | relu, affine]."""
    loss, rounded, move = cross_entropy(smoothing), operands(ops, net, weights), MOVES[net.words[1][0]]
    first, rest = net._replace(layers=net.layers[:1]), net._replace(layers=net.layers[1:], white=1, scaled=False)
    middle = size(net.layers[0].weights)

    def gradient(x: Array, labels: Array, draw: Draw | None = None) -> float:
        w = rounded()
        a, (x,) = forward(ops, first, w[:1], x)
        logits, (_, z) = forward(ops, rest, w[1:], a)
        target = np.full_like(logits, smoothing / logits.shape[1])
        target[np.arange(len(labels)), labels] += 1 - smoothing
        logp = logits - logits.max(axis=1, keepdims=True)
        logp -= np.log(np.exp(logp).sum(axis=1, keepdims=True))
        W2 = w[2]["W"]
        fill(grads[:middle], with_one(x, net.white), step / net.white, move, a, W2, logp, target)
        fill(grads[middle:], with_one(z, 1), step, LOGITS, logits, np.eye(W2.shape[1]), logp, target)
        np.divide(grads, 2 * step * len(x), out=grads)
        return mean(ops, loss(ops, logits, labels)[0])

    return gradient


def with_one(x: Array, one: float) -> Array:
    """The inputs x (N, I) and the input of the bias: (N, I + 1)."""
    return np.concatenate([x, np.full((len(x), 1), one)], axis=1)


def fill(out: Array, x: Array, step: float, move: Move, a: Array, W: Array, logp: Array, target: Array) -> None:
    """Fill out (I M,) with the sum over images of change(step x) - change(-step x) for every input of x (N, I).

    a (N, M) is what the inputs move, W (M, K) leads from act(a) to the logits; logp and target are (N, K).
    """
    out, u, logp = out.reshape(x.shape[1], -1), W.T[:, None] - target @ W.T, logp.T[..., None]
    most = np.abs(x).max(axis=1, keepdims=True)
    reach, p = step * most, np.exp(logp)
    far = reach * (move.curve + 7.5 * move.slope * np.ptp(W, axis=1)) > NEAR
    if move.bends:
        far |= np.abs(a) <= reach

    def near_change(s: Array) -> Array:
        change: Array = np.log1p((p * np.expm1(np.where(far, 0, move.by(a, s)) * u)).sum(axis=0))
        return change

    half, whole = (near_change(s) - near_change(-s) for s in (reach / 2, reach))
    cubic = (whole - 2 * half) / 0.75
    share = x / most
    np.matmul(share.T, whole - cubic, out=out)
    out += (share * share * share).T @ cubic
    for n in np.flatnonzero(far.any(axis=1)):
        lit, units = np.flatnonzero(x[n]), np.flatnonzero(far[n])
        s, ways = step * x[n, lit, None], u[:, n][:, units]
        up, down = (change(move.by(a[n, units], moved), ways, logp[:, n]) for moved in (s, -s))
        out[np.ix_(lit, units)] += up - down


def change(d: Array, u: Array, logp: Array) -> Array:
    """log(sum over k of p[k] exp(d u[k])) for d (I, M) or (I, 1) of any size, u (K, M) and logp (K, 1)."""
    p = np.exp(logp)
    if np.abs(d).max(initial=0) * np.abs(u).max() < 0.5:  # the usual case: no term is far from 0
        total: Array = np.zeros((len(d), u.shape[1]))
        for share, way in zip(p, u, strict=True):
            total += share * np.expm1(d * way)
        np.log1p(total, out=total)
        return total
    moves, p, logp = d * u[:, None], p[..., None], logp[..., None]
    terms = np.where(moves < 1, p * np.expm1(np.minimum(moves, 1)), np.exp(np.minimum(logp + moves, HUGE)) - p)
    total, after = terms.sum(axis=0), logp + moves
    most = after.max(axis=0)
    far = (total < -0.5) | (most > HUGE)  # else log1p has more digits
    result: Array = np.where(far, most + np.log(np.exp(after - most).sum(axis=0)), np.log1p(np.where(far, 0, total)))
    return result
