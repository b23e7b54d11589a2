"""The layers with weights, as loops over their definition: slow, but exact for Python's integers."""

import numpy as np


def by_loops(x, W, b, dy, padding=0, stride=1):
    """y, dW, db and dx of a convolution; an affine layer is one of 1 x 1 pixels, its inputs the channels."""
    k, sides = W.shape[-1], [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    x = np.pad(x, sides)
    y, dW, db, dx = (np.zeros_like(like) for like in (dy, W, b, x))
    for n, f, row, column in np.ndindex(dy.shape):
        window = np.s_[n, :, row * stride : row * stride + k, column * stride : column * stride + k]
        y[n, f, row, column] = (x[window] * W[f]).sum() + b[f]
        dW[f] += dy[n, f, row, column] * x[window]
        db[f] += dy[n, f, row, column]
        dx[window] += dy[n, f, row, column] * W[f]
    return y, dW, db, dx[:, :, padding : x.shape[2] - padding, padding : x.shape[3] - padding]
