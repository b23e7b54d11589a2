"""Every recipe can be run, means the same to DVC and to the stages, and its recorded weights are a promise."""

import re
import shutil
from pathlib import Path

import pytest
import recipe
import results
from clone import ROOT, Clone
from dvc.utils.hydra import apply_overrides

from pipeline.base.errors import PipelineError
from pipeline.datasets.features import feature_shape
from pipeline.nn.net import build
from pipeline.params import Convert, Download, Evaluate, load_params
from pipeline.training.settings import Train

PARAMS = ROOT / "params.yaml"


def load(path, overrides, section):
    """A section with the overrides that are for it."""
    return load_params(path, [one for one in overrides if one.startswith(f"{section.__name__.lower()}.")], section)


@pytest.mark.parametrize("name", recipe.RECIPES)
def test_a_recipe_fits_the_schema_means_the_same_to_dvc_and_makes_a_net(tmp_path, name):
    overrides, by_dvc = recipe.settings(name), tmp_path / "params.yaml"
    shutil.copy(PARAMS, by_dvc)
    apply_overrides(by_dvc, overrides)
    download, convert, train, _ = (load(PARAMS, overrides, one) for one in (Download, Convert, Train, Evaluate))
    for section in (Download, Convert, Train, Evaluate):
        assert load(by_dvc, [], section) == load(PARAMS, overrides, section)
    assert download.dataset in ("mnist", *recipe.RECIPES)
    build(train.layers, (1, *feature_shape(convert.features, (28, 28))), 10)


@pytest.mark.parametrize("name", recipe.COMMITTEES)
def test_a_committee_is_of_recipes_each_with_a_seed_and_no_net_is_in_it_twice(name):
    members = recipe.members(name)
    assert all(recipe.settings(one) and seed.isdigit() for one, seed in members)
    assert len({*members}) == len(members) > 1


@pytest.mark.parametrize("name", [*recipe.RECIPES, *recipe.COMMITTEES])
def test_a_recipe_says_what_net_it_is(name):
    title, *rest = (recipe.RECIPES | recipe.COMMITTEES)[name].read_text("utf-8").splitlines()
    assert re.match("# .{3,60}$", title)
    assert not any(line.startswith("#") and not re.match(r"# published: [0-9.]+ % \(.+\)$", line) for line in rest)


@pytest.fixture
def record(monkeypatch):
    """Of the recipe svm, with seed 1."""
    row = {"recipe": "svm", "seed": "1", "settings": " ".join(recipe.settings("svm")), "sha256": "a" * 64}
    monkeypatch.setattr(recipe, "recorded", lambda: [row])
    return row


def test_weights_must_be_those_that_are_recorded(record):
    assert recipe.verdict("svm", "1", "a" * 64).startswith("The weights are those of docs/results.csv, to the last bit")
    with pytest.raises(PipelineError, match=f"SHA-256 {'b' * 64}, docs/results.csv says {'a' * 64};"):
        recipe.verdict("svm", "1", "b" * 64)


def test_where_nothing_is_promised_the_verdict_says_so(record):
    assert "docs/results.csv has no row" in recipe.verdict("softmax", "1", "b" * 64)
    assert "docs/results.csv has no row" in recipe.verdict("svm", "2", "b" * 64)
    record["sha256"] = ""
    assert "none are recorded" in recipe.verdict("svm", "1", "b" * 64)
    record["settings"] = "train.layers=[affine]"
    assert "no row of this recipe" in recipe.verdict("svm", "1", "b" * 64)


def test_the_row_of_a_committee_is_of_the_nets_that_have_a_row(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.csv")

    def row(name, seed, sha256):
        known = {"recipe": name, "seed": seed, "sha256": sha256, "settings": " ".join(recipe.settings(name))}
        return dict.fromkeys(recipe.HEADER, "") | known

    nets = [row(*net, f"{i}") for i, net in enumerate(recipe.members("five-alike"))]
    committee = row("five-alike", "", results.of_all("five-alike", nets))
    for rows, kept in [
        (nets, True),
        (nets[:4], False),
        ([*nets[:4], nets[4] | {"sha256": "another"}], False),
        ([*nets[:4], nets[4] | {"settings": "train.arithmetic=float32"}], False),
    ]:
        results.write_rows([*rows, committee])
        assert ("five-alike" in results.RESULTS.read_text("utf-8")) == kept


def test_an_unknown_recipe_is_one_line():
    with pytest.raises(PipelineError, match=r"recipe lenet5 is unknown; did you mean lenet-5\?"):
        recipe.settings("lenet5")


@pytest.mark.slow
@pytest.mark.mnist
def test_dvc_runs_a_recipe_again_and_again_and_leaves_its_page_and_its_model(mnist_mirror: str, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", PIPELINE_MIRRORS=mnist_mirror)
    for _ in range(2):
        shown = clone.output("python", "tools/recipe.py", "svm", "2")
    assert "data/recipes/svm-2/report.html" in shown
    assert clone.output("dvc", "exp", "list", "--name-only").split() == ["svm-2"]
    assert clone.changed() == set()
    clone.output("dvc", "repro", "convert")  # experiments in a temporary folder leave no data set here
    model = "data/recipes/svm-2/weights.npz"
    assert "committee" in clone.output("python", "-m", "pipeline", "committee", model)
