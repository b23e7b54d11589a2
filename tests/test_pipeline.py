"""All four stages by hand on the bundled digits, from a folder that is not the project's."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from by_hand import OUTPUTS, STAGES, all_stages, command, hashes, must, refusal, struck

from pipeline.base.errors import PipelineError
from pipeline.base.files import write_bytes
from pipeline.base.provenance import unchanged
from pipeline.datasets.arrays import describe_dataset, load_splits
from pipeline.model import load_model
from pipeline.params import load_params
from pipeline.training.settings import Train


def test_four_stages_by_hand_make_a_judged_net(finished: Path) -> None:
    metrics = json.loads((finished / "data/evaluation/metrics.json").read_text())
    assert metrics["images"] == 297
    assert metrics["accuracy"] > 0.85
    assert metrics["accuracy"] + metrics["error_rate"] == pytest.approx(1)


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert hashes(all_stages(tmp_path_factory.mktemp("again"))) == hashes(finished)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 296, 1000])
def test_T18_every_test_image_is_counted_once_whatever_the_batch_size(copy: Path, batch_size: int) -> None:
    before = json.loads((copy / "data/evaluation/metrics.json").read_text())
    must(copy, "evaluate", f"evaluate.batch_size={batch_size}")
    after = json.loads((copy / "data/evaluation/metrics.json").read_text())
    assert after["images"] == 297
    assert after["accuracy"] == before["accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["convert.normalize=false", "convert.one_hot=false", "train.learning_rate=0.001"],
        ["convert.layout=image", "convert.validation=300"],
        [
            "train.layers=[affine 50, relu, affine]",
            "train.initializer=he",
            "train.optimizer=adam",
            "train.learning_rate=0.01",
        ],
        [
            "train.layers=[affine 50, tanh, affine]",
            "train.initializer=glorot",
            "train.optimizer=momentum 0.9",
            "train.learning_rate=0.05",
        ],
        ["train.sampling=shuffle", "train.batch_size=7", "train.length=3 epochs"],
        ["train.batch_size=5000", "train.length=20 iterations"],
        ["train.batch_size=5000", "train.sampling=shuffle", "train.length=1 epochs"],
    ],
    ids=" ".join,
)
def test_T18_every_choice_runs_to_the_end(copy: Path, overrides: list[str]) -> None:
    short = [] if any("train.length" in override for override in overrides) else ["train.length=200 iterations"]
    for stage in STAGES[1:]:
        must(copy, stage, *overrides, *short)
    held_out = 300 if "convert.validation=300" in overrides else 0
    metrics = json.loads((copy / "data/evaluation/metrics.json").read_text())
    assert metrics["images"] == 297
    assert ("validation_accuracy" in metrics) == bool(held_out)
    last = (copy / "data/model/accuracy.csv").read_text().splitlines()[-1].split(",")[-1]
    assert metrics.get("validation_accuracy", metrics["accuracy"]) == float(last)
    with np.load(copy / "data/processed/dataset.npz") as arrays:
        assert len(arrays["train_images"]) == 1500 - held_out
        assert arrays["train_images"].dtype == (np.uint8 if "convert.normalize=false" in overrides else np.float32)


def test_curves_have_a_row_for_each_iteration_and_each_epoch(finished: Path) -> None:
    train = load_params(finished / "params.yaml", (), Train)
    losses = (finished / "data/model/loss.csv").read_text().splitlines()
    iterations = int(train.length.removesuffix(" iterations"))
    assert (losses[0], len(losses)) == ("iteration,loss", 1 + iterations)
    epochs = [float(row.split(",")[0]) for row in (finished / "data/model/accuracy.csv").read_text().splitlines()[1:]]
    assert epochs[0] == 0
    assert epochs[-1] == iterations / (1500 // train.batch_size)
    assert epochs == sorted(set(epochs))


def test_P12_the_model_file_says_what_it_is_and_where_from_and_the_evaluation_repeats_it(finished: Path) -> None:
    about = load_model(finished / "data/model/weights.npz").about
    assert json.loads((finished / "data/evaluation/model.json").read_text()) == about
    assert about["params"] == load_params(finished / "params.yaml", (), Train).model_dump()
    assert about["data"]["sha256"] == hashes(finished)["data/processed/dataset.npz"]
    assert about["data"]["name"] == "digits"
    assert set(about) == {
        "net",
        "params",
        "data",
        "curves",
        "judging",
        "sha256",
    }  # not the code: a comment changes no model


def test_a_misspelt_layer_is_one_line_and_exit_code_1(finished: Path) -> None:
    line = refusal(finished, "train", "train.layers=[affine 5, sigmod, affine]")
    assert line.startswith(
        "-S train.layers=[affine 5, sigmod, affine]: train.layers[1] is 'sigmod'; did you mean sigmoid?"
    )


def test_an_override_of_another_stages_section_is_refused(finished: Path) -> None:
    done = subprocess.run(
        [*command("train"), "-S", "convert.layout=image"], cwd=finished, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "train reads only section train; give this to python -m pipeline.convert." in done.stderr


def test_another_params_file_can_be_named(copy: Path) -> None:
    (copy / "params.yaml").rename(copy / "mine.yaml")
    assert "params.yaml does not exist; run in the project's folder" in refusal(copy, "convert")
    assert subprocess.run([*command("convert"), "--params", "mine.yaml"], cwd=copy, capture_output=True).returncode == 0


def test_the_loss_in_the_metrics_is_that_of_the_net_on_the_test_images(finished: Path) -> None:
    net = load_model(finished / "data/model/weights.npz")
    source = finished / "data/processed/dataset.npz"
    (test,) = load_splits(source, describe_dataset(source), ["test"])
    loss = json.loads((finished / "data/evaluation/metrics.json").read_text())["loss"]
    assert loss == net.mean_loss(net.logits(test.images, 100), test.labels) > 0


def test_E3_curves_of_another_training_are_refused(copy: Path) -> None:
    path = copy / "data/model/loss.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert "loss.csv and accuracy.csv belong to another training than the model" in refusal(copy, "evaluate")


def test_T15_data_that_change_while_they_are_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "dataset.npz"
    path.write_bytes(b"old")
    with pytest.raises(PipelineError, match="changed while it was read"), unchanged(path):
        write_bytes(path, b"another size")  # the clock of a file system may stand still meanwhile


def test_inode_numbers_that_change_at_every_call_are_no_change(tmp_path: Path, monkeypatch) -> None:
    path, real, numbers = tmp_path / "dataset.npz", Path.stat, iter(range(100))
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "stat", lambda self: os.stat_result([0, next(numbers), *real(self)[2:]]))
    with unchanged(path):
        pass


@pytest.mark.parametrize(
    ("stage", "missing", "advice"),
    [
        ("convert", "data/raw/dataset.json", "python -m pipeline.download"),
        ("convert", "data/raw/train-images-idx3-ubyte.gz", "python -m pipeline.download"),
        ("train", "data/processed/dataset.npz", "python -m pipeline.convert"),
        ("evaluate", "data/processed/dataset.npz", "python -m pipeline.convert"),
        ("evaluate", "data/model/weights.npz", "python -m pipeline.train"),
        ("evaluate", "data/model/loss.csv", "python -m pipeline.train"),
    ],
)
def test_C1_E1_a_missing_input_names_the_stage_that_makes_it(copy: Path, stage: str, missing: str, advice: str) -> None:
    (copy / missing).unlink()
    line = refusal(copy, stage)
    assert missing in line
    assert advice in line


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_C22_E2_a_cut_dataset_is_refused_and_nothing_lost(copy: Path, stage: str) -> None:
    before = hashes(copy)
    path = copy / "data/processed/dataset.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert "dataset.npz is not a sound .npz file" in refusal(copy, stage)
    after = hashes(copy)
    assert {name: after[name] for name in OUTPUTS[1:]} == {name: before[name] for name in OUTPUTS[1:]}


@pytest.mark.slow
def test_E3_a_model_of_other_data_is_refused(copy: Path) -> None:
    must(copy, "convert", "convert.one_hot=false")
    assert "the model was trained on another dataset.npz" in refusal(copy, "evaluate")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_T2_T3_a_signal_saves_and_the_next_run_ends_on_the_same_bits(copy: Path, number: int, code: int) -> None:
    length = "train.length=1500 iterations"
    must(copy, "train", length)
    uninterrupted = hashes(copy)
    returned, words = struck(copy, number, length)
    assert returned == code
    assert "run it again to go on" in words
    assert list((copy / "data/checkpoints").glob("*.npz"))
    assert must(copy, "train", length).startswith("going on after iteration")
    assert hashes(copy) == uninterrupted
    assert not list((copy / "data/checkpoints").glob("*.npz"))


@pytest.mark.slow
def test_T12_training_stops_when_the_dvc_that_started_it_is_gone(copy: Path) -> None:
    dvc = "import subprocess, sys; subprocess.Popen(sys.argv[1:]); input()"
    environment = os.environ | {"DVC_STAGE": "train"}
    parent = subprocess.Popen(
        [sys.executable, "-c", dvc, *command("train", "train.length=200000 iterations")],
        cwd=copy,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert parent.stdout
    assert parent.stdin
    parent.stdout.readline()
    parent.kill()
    parent.wait()
    _, errors = parent.communicate()  # ends when the orphan has also closed the pipe
    assert b"Stopped after iteration" in errors


@pytest.mark.slow
def test_T13_two_trainers_on_one_output_are_refused(copy: Path) -> None:
    with subprocess.Popen(
        command("train", "train.length=200000 iterations"), cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as first:
        assert first.stdout
        first.stdout.readline()
        assert "another process is writing to data/checkpoints" in refusal(copy, "train")
        first.kill()
        first.communicate()
    must(copy, "train")  # dead processes hold no lock


def test_T17_a_closed_output_is_no_traceback_and_the_model_stays(copy: Path) -> None:
    before = hashes(copy)
    with subprocess.Popen(
        command("train", "train.length=3000 iterations"),
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        assert training.stdout
        assert training.stderr
        training.stdout.close()
        errors = training.stderr.read()
    assert errors.startswith("Stopped after iteration ")
    assert errors.count("\n") == 1
    assert training.returncode == 141
    assert hashes(copy) == before
    assert must(copy, "train", "train.length=3000 iterations").startswith("going on after iteration")
