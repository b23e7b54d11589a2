"""A second net that learns from invented images what to refuse."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.base.signals import Stopping
from pipeline.model import Classifier
from pipeline.nn.images import Images, stored
from pipeline.nn.random import Stream
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.judging import Detect
from pipeline.training.loader import Labelled
from pipeline.training.loop import NEGATIVES_STREAM
from pipeline.training.negatives import negatives
from pipeline.training.progress import Progress
from pipeline.training.team import SOLE
from pipeline.training.trainer import Trainer

MOST_SHOWN = 45_000  # training images that the detector sees


def detecting(
    about: Mapping[str, Any], train: Labelled, trainer: Trainer, checkpoints: Checkpoints, stopping: Stopping
) -> Detect | None:
    """The function that trains the detector of a net; None where no images are invented.

    The detector has the settings of the net, one more class and as many iterations. Under MPI process 0 trains it
    alone. about, trainer, checkpoints: of the net. Raises PipelineError where no image can be invented for the data.
    """
    settings, data, classes = about["params"], about["data"], about["net"]["classes"]
    if not settings["negatives"]:
        return None
    if data["features"] != "pixels" or data["framing"] is None:
        raise PipelineError(
            f"train.negatives is {settings['negatives']}, but only pixels of framed digits can be invented; "
            "set train.negatives=0."
        )
    shape, iterations = about["net"]["input_shape"], trainer.plan.iterations
    workers = trainer.workers if trainer.workers.process.size == 1 else SOLE
    own = Checkpoints(checkpoints.slots[0].parent, {"detector of": checkpoints.key}, checkpoints.every)

    def detect(shown: Array, held_out: Labelled) -> Classifier:
        shown = shown[np.arange(min(len(shown), MOST_SHOWN)) * len(shown) // min(len(shown), MOST_SHOWN)]
        pixels = stored(train[0])
        known = pixels[shown]
        pictures, stream = known.reshape(-1, *shape[1:]), Stream(settings["seed"], NEGATIVES_STREAM)
        invented = negatives(pictures, settings["negatives"], data["framing"], stream)
        images = Images(np.concatenate([known, invented.reshape(len(invented), -1)]), pixels.white)
        labels = np.concatenate([train[1][shown], np.full(len(invented), classes)])
        length = {"length": f"{iterations} iterations"}
        second = Trainer(settings | length, shape, (images, labels), held_out, classes + 1, workers)
        if trainer.workers.process.size == 1:  # under MPI the other processes have ended
            checkpoints.save(iterations, trainer.state(trainer.history))
        with Progress(second.plan, "held out", own, stopping) as progress:
            progress.say(f"a second net learns what to refuse from {len(invented)} invented images")
            second.fit(progress, own, stopping)
        own.clear()
        return second.classifier({"net": second.about})

    return detect
