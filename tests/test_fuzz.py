"""The inputs that the fuzzer has found are fed again, and a sample of its inputs."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import fuzz
import pytest
from fuzz import CORPUS, ROOT, Target, targets, verdict
from hypothesis import given
from hypothesis import strategies as st

NAMES = ("idx", "gzip", "npz", "checkpoint", "dataset", "weights", "description", "params")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeds")


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Target]:
    return targets(folder)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_what_was_once_found_is_read_or_refused(path: Path, made: dict[str, Target], folder: Path) -> None:
    assert verdict(made[path.name.partition("-")[0]], path.read_bytes(), folder) in ("read", "refused")


def test_every_reader_takes_the_sound_files(made: dict[str, Target], folder: Path) -> None:
    assert tuple(made) == NAMES
    assert sum(target.share for target in made.values()) == 100
    for target in made.values():
        for seed in target.seeds:
            assert verdict(target, seed, folder) == "read"


@pytest.mark.parametrize("name", NAMES)
def test_damage_depends_on_the_dice_alone_and_does_some(name: str, made: dict[str, Target]) -> None:
    for change in made[name].changes:
        results = {change(random.Random(i), made[name].seeds[0]) for i in range(50)}
        assert results == {change(random.Random(i), made[name].seeds[0]) for i in range(50)}
        assert len(results - {made[name].seeds[0]}) > 10


@pytest.mark.parametrize("name", NAMES)
@given(dice=st.randoms(use_true_random=False), anything=st.none() | st.binary(max_size=100))
def test_any_bytes_and_any_damage_are_read_or_refused(
    name: str, dice: random.Random, anything: bytes | None, made: dict[str, Target], folder: Path
) -> None:
    target = made[name]
    damaged = dice.choice(target.changes)(dice, dice.choice(target.seeds)) if anything is None else anything
    assert verdict(target, damaged, folder) in ("read", "refused")


@pytest.fixture
def atheris() -> Any:
    return pytest.importorskip("atheris", reason="make extras installs it")


@pytest.mark.slow
def test_a_sample_of_damaged_files_is_read_or_refused(atheris: Any) -> None:
    done = subprocess.run(
        [sys.executable, "tools/fuzz.py", "--inputs", "10000"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def one_bit_in_each_of_four_bytes(path: Path) -> None:
    data = path.read_bytes()
    for i in range(4):
        if data[i : i + 1] != bytes([1 << i]):
            return
    raise ValueError("planted")


@pytest.mark.slow
def test_coverage_leads_to_a_fault_that_chance_would_not_find(
    atheris: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path / "found")
    reader = atheris.instrument_func(one_bit_in_each_of_four_bytes)
    target = fuzz.Target(100, [bytes(16)], [fuzz.flip], reader)
    result = fuzz.in_own_process("planted", target, 20_000, 0, tmp_path)
    assert result.found == 1
    assert result.kept > 1
    (saved,) = (tmp_path / "found").iterdir()
    assert saved.read_bytes()[:4] == b"\x01\x02\x04\x08"
