"""Pictures are drawn without a screen, are the same bytes each time, and survive odd inputs."""

import os
import subprocess
import sys

import numpy as np
import pytest
from nets import a_net

from pipeline.report import plots
from pipeline.report.metrics import Answers
from pipeline.report.results import results

RNG = np.random.default_rng(0)
CURVES = {"epoch": [0.0, 1.0], "train": [0.1, 0.9], "held_out": [0.1, 0.8], "loss": [2.3, 1.1, 0.5]}


def some_answers(n: int = 30) -> Answers:
    probabilities = RNG.dirichlet(np.ones(10), n)
    return Answers(RNG.random((n, 8, 8)), RNG.integers(0, 10, n), probabilities, list("0123456789"))


def made(answers: Answers, loss: float = 0.5, layer=None, mistakes: int = 25) -> dict[str, bytes]:
    weights, about = a_net("two_layer", (8, 8))
    return results(answers, loss, CURVES, np.zeros((1, 8, 8)) if layer is None else layer, weights, about, mistakes)


def test_E9_the_same_results_give_the_same_bytes():
    answers, layer = some_answers(), RNG.standard_normal((7, 8, 8))
    once, again = (made(answers, layer=layer) for _ in range(2))
    assert once == again


def test_metrics_come_last_so_that_they_vouch_for_the_rest():
    assert list(made(some_answers(), mistakes=5))[-1] == "metrics.json"


def test_pictures_do_not_name_the_software():
    figure = plots.loss_curve([1.0, 0.5])
    assert b"Software" not in plots.png(figure)
    assert plots.png(figure).startswith(b"\x89PNG")


def test_E8_no_mistake_at_all_is_pictured_too():
    assert plots.png(plots.mistakes_chart(np.empty((0, 8, 8)), []))


def test_E7_a_loss_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        made(some_answers(), float("nan"))


def test_predictions_count_every_image_once():
    table = made(some_answers(37))["predictions.csv"]
    assert len(table.splitlines()) == 1 + 37


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["TkAgg", "Qt5Agg", "Agg"])
def test_E5_pictures_do_not_depend_on_the_users_backend_or_locale(backend):
    code = "from pipeline.report import plots; import hashlib; print(len(plots.png(plots.loss_curve([1.0]))))"
    plain = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=plain | {"MPLBACKEND": backend}, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert int(run.stdout) > 1000
