"""Other programs get the same net: every format holds it, and ONNX answers as it does."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from by_hand import ROOT, must
from needs import need
from nets import a_file, a_net

from pipeline.base.npz import read_npz
from pipeline.datasets.arrays import describe_dataset, load_splits
from pipeline.nn.classifier import load_classifier

NETS = {
    "linear": ("linear", {}),
    "sigmoid": ("two_layer", {"activation": "sigmoid"}),
    "tanh": ("two_layer", {"activation": "tanh", "arithmetic": "float32"}),
    "relu": ("two_layer", {"activation": "relu", "arithmetic": "float64"}),
    "cnn": ("cnn", {}),
    "cnn, cells that leave a rest": ("cnn", {"kernel": 4, "pool": 3, "arithmetic": "float32"}),
}


def export(folder, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.commands.export", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(params=NETS)
def model(request, tmp_path):
    name, knobs = NETS[request.param]
    return a_file(tmp_path / "weights.npz", *a_net(name, **knobs))


@pytest.fixture
def extras():
    packages = ("onnx", "onnxruntime", "safetensors")
    need(all(map(importlib.util.find_spec, packages)), f"exports; make extras installs {', '.join(packages)}")


def test_npz_holds_the_arrays_alone(model, tmp_path):
    assert export(tmp_path, "net.npz", "--model", model).returncode == 0
    exported, net = read_npz(tmp_path / "net.npz"), load_classifier(model)
    assert exported.keys() == net.weights.keys()
    assert all(np.array_equal(exported[name], array) for name, array in net.weights.items())


def test_csv_is_a_table_an_array(model, tmp_path):
    assert export(tmp_path, "tables", "--format", "csv", "--model", model).returncode == 0
    for name, array in load_classifier(model).weights.items():
        table = np.loadtxt(tmp_path / f"tables/{name}.csv", delimiter=",", skiprows=1, ndmin=2, dtype=array.dtype)
        np.testing.assert_array_equal(table, array.reshape(len(array), -1))


def test_safetensors_holds_the_arrays_and_what_they_are(extras, model, tmp_path):
    import safetensors

    assert export(tmp_path, "net.safetensors", "--model", model).returncode == 0
    net = load_classifier(model)
    with safetensors.safe_open(tmp_path / "net.safetensors", "np") as file:
        assert set(file.keys()) == net.weights.keys()
        assert all(np.array_equal(file.get_tensor(name), array) for name, array in net.weights.items())
        assert json.loads(file.metadata()["about"]) == net.about


def test_onnx_answers_as_the_net_does(extras, model, tmp_path):
    import onnxruntime

    assert export(tmp_path, "net.onnx", "--model", model).returncode == 0
    net = load_classifier(model)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    images = np.random.default_rng(3).random((50, *net.about["net"]["input_shape"])).astype(np.float32)
    logits, probabilities = session.run(["logits", "probabilities"], {"images": images})
    expected = net.logits(images, 50)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(probabilities, net.probabilities(expected), atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["about"]) == net.about


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("settings", ["model=linear", "model=two_layer", "model=cnn initializer=he"])
def test_onnx_says_of_every_mnist_test_image_what_the_net_says(extras, tmp_path, monkeypatch, mnist_mirror, settings):
    import onnxruntime

    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.setenv("PIPELINE_MIRRORS", mnist_mirror)
    must(tmp_path, "download")
    must(tmp_path, "convert", "convert.layout=image")
    must(tmp_path, "train", *(f"train.{one}" for one in f"{settings} length=600".split()))
    assert export(tmp_path, "net.onnx").returncode == 0
    source = tmp_path / "data/processed/dataset.npz"
    (test,) = load_splits(source, describe_dataset(source), ["test"])
    net = load_classifier(tmp_path / "data/model/weights.npz")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"images": test.images})
    expected = net.probabilities(net.logits(test.images, 1000))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(found) == 10_000
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 2e-5  # else float32 may decide otherwise, and does not matter
    assert np.array_equal(found.argmax(axis=1)[clear], expected.argmax(axis=1)[clear])
    assert clear.mean() > 0.999


def test_a_format_must_be_named(tmp_path):
    run = export(tmp_path, "net.pkl", "--model", a_file(tmp_path / "weights.npz", *a_net("linear")))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "error: net.pkl does not say what to write; name a --format: onnx, safetensors, npz, csv.\n"


@pytest.mark.parametrize("package", ["onnx", "safetensors"])
def test_a_missing_package_is_named_in_one_line(tmp_path, package):
    model = a_file(tmp_path / "weights.npz", *a_net("linear"))
    code = f"import sys; sys.modules[{package!r}] = sys.modules[{package + '.numpy'!r}] = None\n"
    code += "from pipeline.commands.export import app; app()"
    command = [sys.executable, "-c", code, f"net.{package}", "--model", str(model)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    advice = f'pip install "reproducible-mnist-pipeline[export]", or pip install {package}.'
    assert run.stderr == f"error: {package} is not installed: {advice}\n"
    assert not (tmp_path / f"net.{package}").exists()
