"""committee: trained nets judged alone and together, on the data that all of them were trained on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nets import a_file, a_net, loaded

from pipeline.commands import committee
from pipeline.datasets.arrays import describe_dataset, load_splits
from pipeline.model import load_model

OTHER = ["affine 20", "tanh", "affine"]


@pytest.fixture
def models(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The trained net of the bundled digits, and one of other layers that says it was trained on them, too."""
    monkeypatch.chdir(finished)
    trained = Path("data/model/weights.npz")
    weights, about = a_net(OTHER, (8, 8))
    return [trained, a_file(tmp_path / "other.npz", weights, about | {"data": loaded(trained)[1]["data"]})]


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def ask(*arguments: object, **options: object) -> str:
        committee.main(*arguments, **options)
        return capsys.readouterr().out

    return ask


@pytest.mark.parametrize("crops", [1, 9])
def test_the_committee_says_what_the_mean_of_its_members_says(models, asked, crops):
    data = Path("data/processed/dataset.npz")
    (test,) = load_splits(data, describe_dataset(data), ["test"])
    shares = [load_model(path).shares(test.images, 100, crops) for path in models]
    expected = [np.mean(one.argmax(axis=1) == test.labels) for one in (*shares, np.mean(shares, axis=0))]
    answers = json.loads(asked(models, crops=crops, as_json=True))
    assert [(one["net"], one["accuracy"], one["crops"], one["images"]) for one in answers] == [
        (str(name), accuracy, crops, 297) for name, accuracy in zip([*models, "committee"], expected, strict=True)
    ]
    lines = [line.split(maxsplit=2) for line in asked(models, crops=crops).splitlines()]
    said = ["9 crops"] * (crops == 9)
    assert lines == [[one["net"], f"{one['accuracy']:.4f}", *said] for one in answers]


def test_what_cannot_be_a_committee_is_one_line(models, tmp_path):
    stranger = a_file(tmp_path / "stranger.npz", *a_net(shape=(8, 8)))
    for arguments, line in [
        (
            ([*models, stranger],),
            f"error: {stranger} was trained on another dataset.npz than data/processed/dataset.npz;",
        ),
        (([*models, models[0]],), f"error: {models[0]} has the weights of a net that is named before it; name each"),
        ((models, Path("absent.npz")), "error: absent.npz does not exist; make it again: python -m pipeline.convert."),
        ((models, Path("data/processed/dataset.npz"), 3), "error: --crops is 3; choose 1 or 9."),
    ]:
        with pytest.raises(SystemExit) as left:
            committee.main(*arguments)
        assert str(left.value).startswith(line)
