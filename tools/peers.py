"""The same training steps by other libraries, each the way its users would write it for speed; one thread each.

A contender is made from (work, weights by name, images, labels) and offers run(batches), which takes that many steps,
and weights(), the arrays by name after them. Libraries that are not installed are left out.
"""

import importlib.util

import numpy as np
import tutorial
from works import ORDER


class Tutorial:
    name = "tutorial"

    def __init__(self, work, weights, images, labels):
        self.work, self.images, self.targets = work, images, np.eye(10)[labels]
        self.net = tutorial.OneImageAtATime(weights) if work.batch == 1 else tutorial.TwoLayerNet(weights)

    def run(self, batches):
        if self.work.batch == 1:
            batches = batches[:, 0]
        return [self.net.step(self.images[batch], self.targets[batch], self.work.rate) for batch in batches]

    def weights(self):
        return vars(self.net) if self.work.batch == 1 else self.net.params

    @staticmethod
    def can(work):
        return (work.model, work.activation, work.batch == 1) in {
            ("two_layer", "sigmoid", False),
            ("two_layer", "tanh", True),
        }


class Torch:
    """Modules, autograd and the fused optimizer, in eager mode."""

    name = "torch eager"

    def __init__(self, work, weights, images, labels):
        import torch

        torch.set_num_threads(1)
        self.torch = torch
        self.images, self.labels = torch.from_numpy(images), torch.from_numpy(labels)
        hidden = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[work.activation]
        dense = [torch.nn.Linear(*weights[name].shape) for name in ORDER[work.model] if weights[name].ndim == 2]
        if work.model == "cnn":
            filters, channels, k, _ = weights["W1"].shape
            first = [torch.nn.Conv2d(channels, filters, k), torch.nn.MaxPool2d(2), torch.nn.ReLU(), torch.nn.Flatten()]
        else:
            first = []
        self.net = torch.nn.Sequential(*first, dense[0], hidden(), dense[1])
        with torch.no_grad():
            for parameter, name in zip(self.net.parameters(), ORDER[work.model], strict=True):
                parameter.copy_(torch.from_numpy(weights[name].T if weights[name].ndim == 2 else weights[name]))
        self.optimizer = torch.optim.SGD(self.net.parameters(), work.rate, fused=True)
        self.work = work

    def run(self, batches):
        losses = []
        for batch in self.torch.from_numpy(batches):
            self.optimizer.zero_grad()
            logits = self.net(self.images[batch])
            loss = self.torch.nn.functional.cross_entropy(logits, self.labels[batch])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses

    def weights(self):
        named = dict(zip(ORDER[self.work.model], self.net.parameters(), strict=True))
        arrays = {name: parameter.detach().numpy() for name, parameter in named.items()}
        return {name: array.T if array.ndim == 2 else array for name, array in arrays.items()}

    @staticmethod
    def can(work):
        return importlib.util.find_spec("torch") is not None


class Jax:
    """One compiled scan over the batches of a shot."""

    name = "JAX scan"

    def __init__(self, work, weights, images, labels):
        import jax
        import jax.numpy as jnp

        activation = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}[work.activation]

        def logits(w, x):
            if work.model == "cnn":
                x = jax.lax.conv_general_dilated(x, w["W1"], (1, 1), "VALID") + w["b1"][:, None, None]
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
                x = jax.nn.relu(x).reshape(len(x), -1)
            first, bias, second, last = ORDER[work.model][-4:]
            return activation(x @ w[first] + w[bias]) @ w[second] + w[last]

        def loss(w, x, y):
            return -jnp.take_along_axis(jax.nn.log_softmax(logits(w, x)), y[:, None], 1).mean()

        def run(w, images, labels, batches):
            def step(w, batch):
                value, grads = jax.value_and_grad(loss)(w, images[batch], labels[batch])
                return jax.tree.map(lambda a, g: a - work.rate * g, w, grads), value

            return jax.lax.scan(step, w, batches)

        self.compiled = jax.jit(run, donate_argnums=0)
        self.w = {name: jnp.array(array) for name, array in weights.items()}
        self.images, self.labels = jnp.array(images), jnp.array(labels)

    def run(self, batches):
        self.w, losses = self.compiled(self.w, self.images, self.labels, batches)
        return losses.block_until_ready()

    def weights(self):
        return {name: np.asarray(array) for name, array in self.w.items()}

    @staticmethod
    def can(work):
        return importlib.util.find_spec("jax") is not None


class ScikitLearn:
    """One pass of MLPClassifier over the images of a shot, in their order."""

    name = "scikit-learn"

    def __init__(self, work, weights, images, labels):
        from sklearn.neural_network import MLPClassifier

        activation = {"sigmoid": "logistic", "tanh": "tanh"}[work.activation]
        self.net = MLPClassifier(
            weights["b1"].shape,
            activation=activation,
            solver="sgd",
            alpha=0,
            batch_size=work.batch,
            learning_rate_init=work.rate,
            shuffle=False,
            momentum=0,
            nesterovs_momentum=False,
        )
        self.net.partial_fit(images[: work.batch], labels[: work.batch], classes=np.arange(10))
        for array, name in zip(self.net.coefs_ + self.net.intercepts_, ["W1", "W2", "b1", "b2"], strict=True):
            array[...] = weights[name]
        self.images, self.labels = images, labels

    def run(self, batches):
        self.net.partial_fit(self.images[batches.ravel()], self.labels[batches.ravel()])
        return [self.net.loss_]

    def weights(self):
        return dict(zip(["W1", "W2", "b1", "b2"], self.net.coefs_ + self.net.intercepts_, strict=True))

    @staticmethod
    def can(work):
        return work.model == "two_layer" and work.batch > 1 and importlib.util.find_spec("sklearn") is not None


PEERS = [Jax, Torch, ScikitLearn, Tutorial]
