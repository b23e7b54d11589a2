"""Stage 3: fit the chosen net to the training images."""

from pathlib import Path

from pipeline.base.errors import reports_errors
from pipeline.base.provenance import Basis, code_hash, hashed, machine
from pipeline.base.usage import run
from pipeline.params import PARAMS_FILE, Overrides, ParamsFile, load_params

CHECKPOINT_SECONDS = 30.0
CODE = ("base", "fast", "nn", "training", "model.py", "train.py")  # the code that decides the weights


@reports_errors
def main(params: ParamsFile = PARAMS_FILE, overrides: Overrides = None) -> None:
    r"""Train on data/processed/dataset.npz; write weights and curves to data/model.

    Example: python -m pipeline.train -S 'train.layers=\[affine 100, relu, affine]' -S train.learning_rate=0.2
    """
    source, folder, kept = Path("data/processed/dataset.npz"), Path("data/model"), Path("data/checkpoints")
    basis = Basis(source)
    from pipeline.training.settings import Train  # takes longer to import than --help should

    settings = basis.read(lambda: load_params(params, overrides, Train))
    from pipeline.base.files import sole_writer, write_json
    from pipeline.base.signals import Stopping
    from pipeline.datasets.arrays import describe_dataset, load_splits, require_mixed
    from pipeline.nn.arithmetic import computing
    from pipeline.training import detector, saving
    from pipeline.training.checkpoints import Checkpoints
    from pipeline.training.progress import Progress
    from pipeline.training.trainer import Trainer
    from pipeline.training.workers import workers

    with workers(settings.arithmetic, settings.batch_size) as those, computing():
        with hashed(source) as digest:
            data = describe_dataset(source)
            train, held_out = load_splits(source, data, ["train", data["held_out"]])
            require_mixed(source, train.labels, settings.sampling)
            shape, classes = (1, *data["feature_shape"]), len(data["class_names"])
            trainer = Trainer(settings.model_dump(), shape, train, held_out, classes, those)
        about = {"net": trainer.about, "params": settings.model_dump(), "data": data | {"sha256": digest()}}
        checkpoints = Checkpoints(kept, about | {"code": code_hash(CODE)}, every=CHECKPOINT_SECONDS)
        with Stopping() as stopping:
            detect = detector.detecting(about, train, trainer, checkpoints, stopping)
            if those.process.rank:  # only process 0 shows progress and writes files
                trainer.fit(lambda history: None, checkpoints, stopping)
                return
            with sole_writer(kept), Progress(trainer.plan, data["held_out"], checkpoints, stopping) as progress:
                if settings.gradient != "backprop":
                    progress.say(f"gradient {settings.gradient}: about {trainer.seconds():.0f} s for all steps")
                history = trainer.fit(progress, checkpoints, stopping)
                with basis.unaltered():
                    saving.save_training(folder, history, trainer.classifier(about), train, held_out, detect)
                write_json(Path("data/run.json"), machine() | {"training_seconds": round(progress.spent, 1)})
                checkpoints.clear()


if __name__ == "__main__":
    run(main, "train")
