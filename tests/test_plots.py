"""Pictures are drawn without a screen, are the same bytes each time, and survive odd inputs."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import rc_context
from nets import a_net

from pipeline.report import plots
from pipeline.report.chart import accuracies, mean_losses
from pipeline.report.metrics import Answers
from pipeline.report.results import results

RNG = np.random.default_rng(0)
CURVES = {"epoch": [0.0, 1.0], "train": [0.1, 0.9], "held_out": [0.1, 0.8], "loss": [2.3, 1.1, 0.5]}


def some_answers(n: int = 30, loss: float = 0.5) -> Answers:
    probabilities = RNG.dirichlet(np.ones(10), n)
    return Answers(RNG.random((n, 8, 8)), RNG.integers(0, 10, n), probabilities, list("0123456789"), loss)


def made(answers: Answers, validation: Answers | None = None, layer=None, mistakes: int = 25) -> dict[str, bytes]:
    weights, about = a_net(shape=(8, 8))
    first = np.zeros((1, 8, 8)) if layer is None else layer
    return results(answers, validation, CURVES, first, weights, about, mistakes)


def test_E9_the_same_results_give_the_same_bytes():
    answers, layer = some_answers(), RNG.standard_normal((7, 8, 8))
    once, again = (made(answers, layer=layer) for _ in range(2))
    assert once == again


def test_metrics_come_last_so_that_they_vouch_for_the_rest():
    assert list(made(some_answers(), mistakes=5))[-1] == "metrics.json"


def test_the_validation_split_adds_what_runs_are_chosen_by_and_changes_no_other_number():
    test, validation = some_answers(30), some_answers(20, loss=0.25)
    alone, beside = (json.loads(made(test, other)["metrics.json"]) for other in (None, validation))
    chosen_by = {"validation_accuracy": validation.headline["accuracy"], "validation_loss": 0.25}
    assert beside == alone | chosen_by
    assert not set(chosen_by) & set(alone)


HOSTILE = ["$$", "price_$5_a_$b", "_old", "a\\frac{", "\u6570"]
DRAWN = {
    "accuracy": lambda: plots.line_chart(accuracies(CURVES, "$$")),
    "loss": lambda: plots.line_chart(mean_losses([1.0, 0.5])),
    "confusion": lambda: plots.confusion_chart(np.eye(2, dtype=int), ["$$", "price_$5_a_$b"]),
    "tiles": lambda: plots.tiles(np.ones((len(HOSTILE), 2, 2)), HOSTILE, "$_$", 5),
    "rows": lambda: plots.rows({"$$": np.ones((2, 2, 2))}, ["$_$", "_old"]),
    "weights": lambda: plots.weights_chart(np.ones((3, 2, 2))),
}


@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_pictures_are_the_same_under_any_settings_whatever_text_is_in_them(drawn):
    with rc_context({"text.usetex": True, "figure.facecolor": "red", "savefig.dpi": 20, "text.parse_math": True}):
        picture = drawn()
    assert picture == drawn()
    assert picture.startswith(b"\x89PNG")
    assert b"Software" not in picture


def test_E8_no_mistake_at_all_is_pictured_too():
    assert plots.mistakes_chart(np.empty((0, 8, 8)), [])


def test_E7_a_loss_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        made(some_answers(loss=float("nan")))


def test_predictions_count_every_image_once():
    table = made(some_answers(37))["predictions.csv"]
    assert len(table.splitlines()) == 1 + 37


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["TkAgg", "Qt5Agg", "Agg", "nonsense"])
def test_E5_pictures_do_not_depend_on_the_users_backend_or_locale(backend):
    code = "from pipeline.report import chart, plots; import os; print("
    code += "len(plots.line_chart(chart.mean_losses([1.0]))), os.environ['MPLBACKEND'])"
    plain = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=plain | {"MPLBACKEND": backend}, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
    size, left = run.stdout.split()
    assert int(size) > 1000
    assert left == backend
