"""From the settings of a training to a trained net: the one place where the parts of nn, fast and training meet."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.signals import Stopping
from pipeline.base.words import made, read
from pipeline.fast.differences import differences, has_structure
from pipeline.fast.one_image import one_image
from pipeline.fast.pixels import affine_suffix, reordered
from pipeline.fast.rewrite import fast
from pipeline.model import Classifier
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.gradients import GRADIENTS, Gradient, loss_of, of_part
from pipeline.nn.images import Images
from pipeline.nn.inference import count_right
from pipeline.nn.initializers import INITIALIZERS, initialize
from pipeline.nn.losses import LOSSES, mean
from pipeline.nn.net import Draw, build, finish, views
from pipeline.nn.random import Stream
from pipeline.training.averages import AVERAGES
from pipeline.training.checkpoints import Checkpoints, State
from pipeline.training.loader import Labelled, Loader
from pipeline.training.loop import BLOCK, DROPOUT_STREAM, WEIGHTS_STREAM, History, Measured, Steps, fit, plan
from pipeline.training.loop import require_better_than_guessing as require_better
from pipeline.training.optimizers import OPTIMIZERS, Slots
from pipeline.training.pace import Fastest
from pipeline.training.schedules import SCHEDULES
from pipeline.training.team import ALONE, SOLE, Team, Workers, side_by_side

DECAYED = 1e-290  # weights of dark pixels shrink to this; some processors have no number between 2e-308 and 0
TERMS = 1 << 22  # terms of the losses of the steps that are taken at once


class Trainer:
    """A net, its data and its settings (the keys of section `train` of params.yaml).

    If the first layer is affine and images are bytes, pixels, and with them weights, have another order during the
    training: that of the loader. Files keep the order of the images.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        shape: tuple[int, ...],
        train: tuple[Array | Images, Array],
        held_out: Labelled,
        classes: int,
        workers: Workers = SOLE,
    ) -> None:
        """`shape` is (C, Y, X) of an image, whatever the shape of its array. Raises PipelineError if no net fits it."""
        self.settings, self.ops, self.workers = settings, ARITHMETICS[settings["arithmetic"]], workers
        self.plan = plan(len(train[0]), *(settings[key] for key in ("batch_size", "length", "sampling", "seed")))
        self.about = {key: settings[key] for key in ("layers", "arithmetic", "loss", "batch_size")}
        self.about |= {"input_shape": list(shape), "classes": classes}
        self.loader = Loader(train, held_out, self.plan, shape, settings["augment"])
        net = build(settings["layers"], shape, classes, settings["batch_size"], self.loader.white)
        self.net, self.shapes, self.random = fast(net), net.shapes, any(layer.random for layer in net.layers)
        bytes_first = self.loader.white and net.words[0][0] == "affine" and not self.loader.distortion
        if bytes_first and settings["gradient"] == "backprop":
            self.net = affine_suffix(self.net)
            self.loader.arrange(net.white)
        self.loader.load()
        self.loss, self.average = made(LOSSES, settings["loss"]), made(AVERAGES, settings["average"])
        self.optimizer, self.schedule = made(OPTIMIZERS, settings["optimizer"]), made(SCHEDULES, settings["schedule"])
        start, stream = made(INITIALIZERS, settings["initializer"]), Stream(settings["seed"], WEIGHTS_STREAM)
        self.weights = initialize(self.shapes, start, stream).astype(self.ops.dtype)
        self.weights = self.turned(self.weights)
        self.slots, self.averaged = self.optimizer.start(self.weights), self.weights
        self.history = History()

    def fit(self, watch: Callable[[History], None], checkpoints: Checkpoints, stopping: Stopping) -> History:
        """Train, from the last checkpoint if there is one; `watch` sees the history grow. `result` has the weights.

        Raises PipelineError where training diverges. Where `stopping` wants it, saves a checkpoint and raises Stopped.
        """
        process = self.workers.process
        self.history = history = self.begin(checkpoints.load(process))
        if not history.accuracies:
            history.accuracies.append(Measured(0.0, *self.measure()))
        watch(history)

        def after(history: History) -> None:
            watch(history)
            require_better(history, self.plan.per_epoch, self.guessing(), self.about["classes"])
            done = len(history.losses)
            stop, due = 2.0 * stopping.wanted, process.told(1.0 * checkpoints.due)
            if wanted := process.max(max(stop, due)):
                state = self.state(history)
                if process.rank == 0:
                    checkpoints.save(done, state)
            if wanted == 2:
                stopping.stop(
                    f"Stopped after iteration {done} of {self.plan.iterations}; run it again to go on from there."
                )

        most = BLOCK if process.size == 1 else BLOCK // 32  # mpiexec kills a process soon after its signal
        if self.settings["gradient"] != "backprop":
            most = 1  # a step by differences can take minutes
        most = max(min(most, TERMS // self.plan.batch_size), 1)
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not a number is reported once, in one line
            return fit(self.plan, self.steps(), self.measure, after, history, most)

    @property
    def result(self) -> Array:
        """The weights (P,) that are kept, in the order of the file; a weight that has decayed to almost 0 is 0."""
        weights = self.turned(self.averaged if self.average else self.weights, back=True)
        weights[np.abs(weights) < DECAYED] = 0
        return weights

    def classifier(self, about: Mapping[str, Any]) -> Classifier:
        """The trained net, ready to answer; `about` is the description in its file."""
        return Classifier(self.ops, self.loss, views(self.result, self.shapes), about)

    # steps

    def steps(self) -> Steps:
        """A function (batches (m, B), steps done before) -> losses (m,) that takes the steps of the batches."""
        run = self.way()
        return lambda batches, done: run(self.loader.stored(batches), done)

    def way(self) -> Steps:
        """The same for batches of images as they are stored."""
        if self.steps_are_single():
            run_single = one_image(self.ops, self.net, self.weights, *self.loader.sets[0])
            return lambda batches, done: run_single(
                batches[:, 0], np.array([self.rate(done + i) for i in range(len(batches))])
            )
        if self.settings["gradient"] == "backprop":
            ways = [self.steps_of(crew) for crew in self.workers.crews]
            return ways[0] if len(ways) == 1 else Fastest(ways)
        grads = np.empty_like(self.weights)
        gradient = self.gradient(grads)

        def run(batches: Array, done: int) -> Array:
            losses = np.empty(len(batches))
            for i, x in enumerate(self.loader.images(batches, done)):
                losses[i] = gradient(x, self.loader.labels[batches[i]], self.draw(done + i))
                self.update(grads, self.slots, self.rate(done + i), done + i)
            return losses

        return run

    def steps_of(self, crew: Sequence[Team]) -> Steps:
        """The same function, by backpropagation, for the workers of a crew."""

        def run(batches: Array, done: int) -> Array:
            rates = [self.rate(done + i) for i in range(len(batches))]
            terms = side_by_side(crew, lambda team: self.work(team, team is crew[0], batches, done, rates))
            return np.array([mean(self.ops, its) for its in terms])

        return run

    def work(self, team: Team, counts: bool, batches: Array, done: int, rates: list[float]) -> Array:
        """Do what one worker does in these steps; return the terms of the losses (m, B, ...) of whole batches."""
        among = team if batches.shape[1] >= team.size else ALONE  # few images: each worker takes all, worker 0 counts
        part, own = among.part(batches.shape[1]), team.part(len(self.weights))
        grads, terms = np.empty_like(self.weights), []
        gradient = of_part(self.ops, self.net, self.loss, self.weights, grads, among.max)
        slots, labels = self.owned_slots(own, counts), self.loader.labels[batches[:, part]]
        for i, x in enumerate(self.loader.images(batches, done, part)):
            draw = self.draw(done + i, part.start) if self.random else None
            terms.append(gradient(x, labels[i], draw, batches.shape[1]))
            if among is not team and team.rank:
                grads[:] = 0
            found = team.owned(grads)
            finish(self.net, found, own.start)
            dark = self.loader.left_out(x) * self.shapes["W1"][1]
            self.update(found, slots, rates[i], done + i, own, dark if team.size == 1 else 0)
            team.share(self.weights)
        every = np.zeros((*batches.shape, *terms[0].shape[1:]), terms[0].dtype)
        every[:, part] = terms
        return among.sum(every)

    def owned_slots(self, own: slice, counts: bool) -> Slots:
        """Views of what the optimizer remembers about this worker's weights. One worker of a process counts steps."""
        found = {}
        for name, slot in self.slots.items():
            of_weights = len(slot) == len(self.weights)
            found[name] = slot[own] if of_weights else slot if counts else slot.copy()
        return found

    def steps_are_single(self) -> bool:
        """Whether fast.one_image can take the steps: plain gradient descent on one image each."""
        plain = {"batch_size": 1, "optimizer": "sgd", "weight_decay": 0, "average": "none"}
        made_for = has_structure(self.net, self.settings["loss"]) and read(self.settings["loss"], LOSSES)[1] == (0,)
        return (
            made_for
            and self.loader.order is not None
            and all(self.settings[key] == value for key, value in plain.items())
        )

    def gradient(self, grads: Array) -> Gradient:
        """The function for `gradient` in the settings, bound to the weights and `grads`."""
        word, numbers = read(self.settings["gradient"], GRADIENTS)
        if word == "numerical" and has_structure(self.net, self.settings["loss"]):
            _, smoothing = read(self.settings["loss"], LOSSES)
            return differences(self.ops, self.net, self.weights, grads, *numbers, *smoothing)
        gradient: Gradient = GRADIENTS[word].make(self.ops, self.net, self.loss, self.weights, grads, *numbers)
        return gradient

    def rate(self, done: int) -> float:
        """The learning rate of the next step, after `done` steps."""
        share = self.schedule(done / self.plan.iterations, done // self.plan.per_epoch)
        return float(self.settings["learning_rate"] * share)

    def update(
        self, grads: Array, slots: Slots, rate: float, done: int, own: slice = slice(None), dark: int = 0
    ) -> None:
        """Change weights by their gradient, after `done` steps; weights decay as in Loshchilov & Hutter 2019."""
        weights, first = self.weights[own], dark if self.optimizer.local else 0
        if self.settings["weight_decay"]:
            weights *= 1 - rate * self.settings["weight_decay"]
        self.optimizer.update(weights[first:], grads[first:], slots, rate)
        if self.average:
            self.average(self.averaged[own], weights, done)

    def draw(self, done: int, start: int = 0) -> Draw:
        """The random numbers of a step: every layer has its own stream, and every image one row, from `start` on."""

        def numbers(layer: int, images: int, size: int) -> Array:
            stream = Stream(self.settings["seed"], DROPOUT_STREAM, done, layer)
            return stream.bits16(images, size, start)

        return numbers

    def measure(self) -> tuple[float, float]:
        """Accuracy on the training and on the held-out images."""
        weights, process = self.averaged if self.average else self.weights, self.workers.process
        process.share(weights)
        sets = self.loader.measured
        own = [process.part(len(labels)) for _, labels in sets]
        parts = [(images.part(some), labels[some]) for some, (images, labels) in zip(own, sets, strict=True)]
        right = np.array([float(count_right(self.ops, self.net, weights, *part)) for part in parts])
        train, held_out = process.sum(right) / [len(labels) for _, labels in sets]
        return float(train), float(held_out)

    def seconds(self) -> float:
        """About how many seconds all gradients of the run will take: one gradient is timed, or one of its losses."""
        indices = np.arange(self.plan.images)[: self.settings["batch_size"]]
        given = next(self.loader.images(indices[None], 0)), self.loader.labels[indices], self.draw(0)
        numerical = self.settings["gradient"].startswith("numerical")
        if numerical and has_structure(self.net, self.settings["loss"]):
            trial, trials = self.gradient(np.empty_like(self.weights)), 1
        else:
            point, trials = (self.weights, 2) if numerical else (self.weights.astype(complex), 1)
            trial, trials = loss_of(self.ops, self.net, self.loss, point), trials * len(self.weights)
        trial(*given)
        start = time.perf_counter()
        trial(*given)
        return (time.perf_counter() - start) * trials * self.plan.iterations

    def guessing(self) -> float:
        """The loss of a net that finds all classes equally likely."""
        even = np.zeros((1, self.about["classes"]), self.ops.dtype)
        return mean(self.ops, self.loss(self.ops, even, np.zeros(1, np.intp))[0])

    # state

    def turned(self, vector: Array, back: bool = False) -> Array:
        """A copy of a vector (P,) in the order of the training, or with `back` in the order of the file."""
        order = self.loader.order
        if order is None or len(vector) != len(self.weights):
            return vector.copy()
        return reordered(vector, self.shapes["W1"], np.argsort(order) if back else order)

    def state(self, history: History) -> State:
        """All that the rest of the run depends on; random streams need only the iteration."""
        vectors = {"weights": self.weights, "averaged": self.averaged}
        vectors |= {f"slot_{name}": array for name, array in self.slots.items()}
        for vector in vectors.values():
            if len(vector) == len(self.weights):
                self.workers.process.share(vector)
        curves = {"losses": np.array(history.losses), "accuracies": np.array(history.accuracies)}
        return {name: self.turned(vector, back=True) for name, vector in vectors.items()} | curves

    def begin(self, state: State | None) -> History:
        """Continue from a saved state, or begin a new history where there is none."""
        state = state or self.state(History())
        self.weights, self.averaged = (self.turned(state[name]) for name in ("weights", "averaged"))
        self.slots = {name: self.turned(state[f"slot_{name}"]) for name in self.slots}
        return History(state["losses"].tolist(), [Measured(*row) for row in state["accuracies"].tolist()])
