"""The algorithm of the tutorials, rewritten line by line, as their readers run it today.

Weights are float64, as np.random.randn makes them, labels one-hot, every array is made anew, the loss of a step is
a second forward pass, and a numerical gradient is two losses per weight.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    x = x - np.max(x, axis=-1, keepdims=True)
    return np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)


def cross_entropy_error(y, t):
    return -np.sum(t * np.log(y + 1e-7)) / y.shape[0]


class TwoLayerNet:
    def __init__(self, weights):
        self.params = {name: array.astype(float) for name, array in weights.items()}

    def predict(self, x):
        z = sigmoid(np.dot(x, self.params["W1"]) + self.params["b1"])
        return softmax(np.dot(z, self.params["W2"]) + self.params["b2"])

    def loss(self, x, t):
        return cross_entropy_error(self.predict(x), t)

    def gradient(self, x, t):
        a1 = np.dot(x, self.params["W1"]) + self.params["b1"]
        z1 = sigmoid(a1)
        y = softmax(np.dot(z1, self.params["W2"]) + self.params["b2"])
        dy = (y - t) / x.shape[0]
        da1 = np.dot(dy, self.params["W2"].T)
        dz1 = (1.0 - sigmoid(a1)) * sigmoid(a1) * da1
        return {
            "W1": np.dot(x.T, dz1),
            "b1": np.sum(dz1, axis=0),
            "W2": np.dot(z1.T, dy),
            "b2": np.sum(dy, axis=0),
        }

    def numerical_gradient(self, x, t, only=None):
        """The gradient for every weight, or for the first `only` weights of each array."""
        return {name: numerical_gradient(lambda: self.loss(x, t), array, only) for name, array in self.params.items()}

    def step(self, x, t, learning_rate):
        grads = self.gradient(x, t)
        for name in ("W1", "b1", "W2", "b2"):
            self.params[name] -= learning_rate * grads[name]
        return self.loss(x, t)


def numerical_gradient(f, x, only):
    h = 1e-4
    grad = np.zeros_like(x)
    for done, place in enumerate(np.ndindex(x.shape)):
        if done == only:
            break
        value = x[place]
        x[place] = value + h
        above = f()
        x[place] = value - h
        below = f()
        grad[place] = (above - below) / (2 * h)
        x[place] = value
    return grad


class OneImageAtATime:
    """A tanh net by stochastic gradient descent in its simplest form."""

    def __init__(self, weights):
        self.W1, self.b1, self.W2, self.b2 = (weights[name].astype(float) for name in ("W1", "b1", "W2", "b2"))

    def step(self, x, t, learning_rate):
        z = np.tanh(np.dot(x, self.W1) + self.b1)
        y = softmax(np.dot(z, self.W2) + self.b2)
        d2 = y - t
        d1 = (1 - z**2) * np.dot(self.W2, d2)
        self.W2 -= learning_rate * np.outer(z, d2)
        self.b2 -= learning_rate * d2
        self.W1 -= learning_rate * np.outer(x, d1)
        self.b1 -= learning_rate * d1
        return -np.sum(t * np.log(y + 1e-7))
