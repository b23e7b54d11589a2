"""The images of a training, in the form and in the order in which its steps take them."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from pipeline.base.arrays import Array
from pipeline.fast.pixels import arranged, dimmest_first, firsts, lit
from pipeline.nn.images import Images, together
from pipeline.training.augment import distortion
from pipeline.training.loop import Plan

Labelled = tuple[Array, Array]  # images (N, ...) and class indices (N,)
DISTORTED = 1 << 22  # pixels of images distorted at a time


class Loader:
    """Training images and held-out images. `labels` are those of the training images, `measured` are both sets.

    After `arrange`, pixels have an `order` that a first affine layer is faster with: see pipeline.fast.pixels. Then
    images in memory are also sorted by their first lit pixel: images that are measured together need fewer pixels.
    """

    def __init__(
        self,
        train: tuple[Array | Images, Array],
        held_out: Labelled,
        plan: Plan,
        shape: tuple[int, ...],
        augment: list[str],
    ) -> None:
        """`shape` is (C, Y, X) of an image, whatever the shape of its array."""
        self.sets = list(zip(together(train[0], held_out[0]), (train[1], held_out[1]), strict=True))
        self.plan, self.white = plan, self.sets[0][0].white
        self.distortion = distortion(augment, shape, plan.seed, self.white)
        self.order: Array | None = None
        self.firsts, self.places = np.empty(0, np.intp), np.empty(0, np.intp)

    def arrange(self, white: int) -> None:
        """Put the pixels in order, and `white` after them. Distorted images have no order: too few pixels stay dark."""
        self.order = dimmest_first(self.sets[0][0])
        each = partial(arranged, order=self.order, white=white)
        self.sets = [(images.then(each), labels) for images, labels in self.sets]

    def load(self) -> None:
        """Copy images to memory if they are few."""
        self.sets = [(images.held(), labels) for images, labels in self.sets]
        if self.order is not None and not any(images.make for images, _ in self.sets):
            found = [firsts(images.source, len(self.order) + 1) for images, _ in self.sets]
            orders = [np.argsort(columns, kind="stable") for columns in found]
            self.firsts, self.places = found[0][orders[0]], np.argsort(orders[0])
            self.sets = [(x.part(at), labels[at]) for (x, labels), at in zip(self.sets, orders, strict=True)]

    @property
    def labels(self) -> Array:
        """Those of the training images (N,), as they are stored."""
        return self.sets[0][1]

    @property
    def measured(self) -> list[tuple[Images, Array]]:
        """Both sets, as the net takes them."""
        return [(images.then(self.lit), labels) for images, labels in self.sets]

    def stored(self, batches: Array) -> Array:
        """Where the images of batches (m, B) are stored."""
        return self.places[batches] if len(self.places) else batches

    def images(self, batches: Array, done: int, part: slice = slice(None)) -> Iterator[Array]:
        """The images (B, k) of a part of each stored batch; many are distorted at once, as few cost as much."""
        images, of_all, batches = self.sets[0][0], batches, batches[:, part]
        if len(self.firsts):
            for batch, first in zip(batches, self.firsts[batches].min(axis=1).tolist(), strict=True):
                yield images.source.take(batch, axis=0, mode="clip")[:, first:]
            return
        if not self.distortion:
            for batch in batches:
                yield self.lit(images[batch])
            return
        most = max(DISTORTED // (batches.shape[1] * images.source.shape[1]), 1)
        for start in range(0, len(batches), most):
            block = batches[start : start + most]
            numbers = self.plan.numbers(of_all[start : start + most], done + start)[:, part]
            yield from self.distortion.render(images[block.reshape(-1)], numbers.reshape(-1)).reshape(*block.shape, -1)

    def lit(self, images: Array) -> Array:
        """Images (n, D) as the net takes them: if they have an order, without pixels that are dark in all of them."""
        return images if self.order is None else lit(images, len(self.order) + 1)

    def left_out(self, x: Array) -> int:
        """How many pixels, the first in their order, are left out of images x (n, k)."""
        return 0 if self.order is None else len(self.order) + 1 - x.shape[1]
