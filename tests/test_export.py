"""Other programs get the same net: every format holds it, and ONNX answers as it does."""

import importlib.util
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from by_hand import ROOT, must
from needs import need
from nets import LENET, SIGMOID, STACKS, a_file, a_net, a_stack, loaded, truth

from pipeline.base.errors import PipelineError
from pipeline.base.npz import read_npz
from pipeline.commands.export import OPERATORS, onnx_file, steps
from pipeline.datasets.arrays import describe_dataset, load_splits
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.layers import LAYERS
from pipeline.nn.losses import softmax
from pipeline.nn.net import build

NETS = {"two layers": (SIGMOID, "float32"), "LeNet-5": (LENET, "exact")}
LAYOUTS = ["flat", "image"]


def export(folder, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "export", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(params=NETS)
def model(request, tmp_path):
    layers, arithmetic = NETS[request.param]
    return a_file(tmp_path / "weights.npz", *a_net(layers, arithmetic=arithmetic))


@pytest.fixture
def extras():
    packages = ("onnx", "onnxruntime", "safetensors")
    need(all(map(importlib.util.find_spec, packages)), f"exports; make extras installs {', '.join(packages)}")


def test_npz_holds_the_arrays_alone(model, tmp_path):
    assert export(tmp_path, "net.npz", "--model", model).returncode == 0
    exported, (weights, _) = read_npz(tmp_path / "net.npz"), loaded(model)
    assert exported.keys() == weights.keys()
    assert all(np.array_equal(exported[name], array) for name, array in weights.items())


def test_csv_is_a_table_an_array(model, tmp_path):
    assert export(tmp_path, "tables", "--format", "csv", "--model", model).returncode == 0
    for name, array in loaded(model)[0].items():
        table = np.loadtxt(tmp_path / f"tables/{name}.csv", delimiter=",", skiprows=1, ndmin=2, dtype=array.dtype)
        np.testing.assert_array_equal(table, array.reshape(len(array), -1))


def test_safetensors_holds_the_arrays_and_what_they_are(extras, model, tmp_path):
    import safetensors

    assert export(tmp_path, "net.safetensors", "--model", model).returncode == 0
    weights, about = loaded(model)
    with safetensors.safe_open(tmp_path / "net.safetensors", "np") as file:
        assert set(file.keys()) == weights.keys()
        assert all(np.array_equal(file.get_tensor(name), array) for name, array in weights.items())
        assert json.loads(file.metadata()["about"]) == about


def test_every_layer_has_its_operator():
    assert OPERATORS.keys() == LAYERS.keys()


def test_random_stacks_have_every_layer():
    """So tests with random stacks test every layer."""
    assert {layer.split()[0] for seed in range(STACKS) for layer in a_stack(seed)} == LAYERS.keys()


@pytest.mark.parametrize("seed", range(STACKS))
def test_onnx_answers_as_any_stack_of_layers_does(extras, seed):
    import onnxruntime as runtime

    arithmetic, layout = [*ARITHMETICS][seed % 3], LAYOUTS[seed // 2 % 2]
    weights, about = a_net(a_stack(seed), arithmetic=arithmetic, layout=layout, normalize=seed % 4 != 3)
    form, largest = ((50, 784), (50, 1, 28, 28))[layout == "image"], 255 if about["data"]["normalize"] else 1
    pixels = np.random.default_rng(seed).integers(0, 256, form).astype(np.float32) / np.float32(largest)
    session = runtime.InferenceSession(onnx_file(SimpleNamespace(weights=weights, about=about, temperature=1.0)))
    logits, probabilities = session.run(["logits", "probabilities"], {"images": pixels})
    expected = truth(weights, about, pixels if largest == 255 else pixels.astype(np.uint8))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(probabilities, softmax(ARITHMETICS[arithmetic], expected), atol=1e-4)
    assert np.ptp(logits, axis=0).max() > 0.01  # the images do differ to the net


def test_onnx_holds_what_the_net_is(extras, model, tmp_path):
    import onnxruntime as runtime

    assert export(tmp_path, "net.onnx", "--model", model).returncode == 0
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["about"]) == loaded(model)[1]


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("layers", [SIGMOID, LENET])
def test_onnx_says_of_every_mnist_test_image_what_the_net_says(extras, tmp_path, monkeypatch, mnist_mirror, layers):
    import onnxruntime as runtime

    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.setenv("PIPELINE_MIRRORS", mnist_mirror)
    must(tmp_path, "download")
    must(tmp_path, "convert", "convert.layout=image")
    must(
        tmp_path, "train", f"train.layers=[{', '.join(layers)}]", "train.initializer=he", "train.length=600 iterations"
    )
    assert export(tmp_path, "net.onnx").returncode == 0
    source = tmp_path / "data/processed/dataset.npz"
    (test,) = load_splits(source, describe_dataset(source), ["test"])
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"images": test.images})
    expected = softmax(ARITHMETICS["exact"], truth(*loaded(tmp_path / "data/model/weights.npz"), test.images))
    np.testing.assert_allclose(found, expected, atol=5e-5)
    assert len(found) == 10_000
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-4  # else float32 may decide otherwise, and does not matter
    assert np.array_equal(found.argmax(axis=1)[clear], expected.argmax(axis=1)[clear])
    assert clear.mean() > 0.999


def test_a_format_must_be_named(model, tmp_path):
    run = export(tmp_path, "net.pkl", "--model", model)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "error: net.pkl does not say what to write; name a --format: onnx, safetensors, npz, csv.\n"


def test_a_layer_without_an_operator_is_named_in_one_line(monkeypatch):
    monkeypatch.delitem(OPERATORS, "tanh")
    said = "ONNX has no operator for tanh; add it to OPERATORS in pipeline/commands/export.py."
    with pytest.raises(PipelineError, match=f"^{said}$"):
        steps(build(["affine 4", "tanh", "affine"], (1, 8, 8), 10), flat=True)


@pytest.mark.parametrize("package", ["onnx", "safetensors"])
def test_a_missing_package_is_named_in_one_line(model, tmp_path, package):
    code = f"import sys; sys.modules[{package!r}] = sys.modules[{package + '.numpy'!r}] = None\n"
    code += "import typer; from pipeline.commands.export import main; typer.run(main)"
    command = [sys.executable, "-c", code, f"net.{package}", "--model", str(model)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    advice = f'pip install "reproducible-mnist-pipeline[export]", or pip install {package}.'
    assert run.stderr == f"error: {package} is not installed: {advice}\n"
    assert not (tmp_path / f"net.{package}").exists()
