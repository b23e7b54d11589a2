"""A sample of the work of tools/chaos.py: faults at calls of every stage, and dvc repro killed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import repro_kills
import syscalls
from needs import need

EVERY = 47  # one call in so many; a prime, so that no kind of call is always left out

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("syscalls"),
    pytest.mark.skipif(sys.platform != "linux", reason="strace traces Linux"),
]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[syscalls.Workshop]:
    need(can_trace(), "faults at calls: strace is missing, or may not trace here; on Debian: apt-get install strace")
    folder = tmp_path_factory.mktemp("calls")
    with syscalls.workshop(folder / "of the stages") as made:
        yield made


def can_trace() -> bool:
    return bool(shutil.which("strace")) and not subprocess.run(["strace", "-o", os.devnull, "true"]).returncode


@pytest.mark.parametrize("fault", syscalls.FAULTS)
@pytest.mark.parametrize(
    "stage",
    [
        f"{rows}-{stage}"
        for rows, stage in zip(("D53-D55-D59-D60-D61", "C22", "T1-T2-T3-T10", "E6"), syscalls.STAGES, strict=True)
    ],
)
def test_no_fault_at_any_call_makes_a_wrong_file(workshop: syscalls.Workshop, stage: str, fault: str) -> None:
    result = syscalls.inject(workshop, stage.rpartition("-")[2], fault, EVERY, first=len(fault))
    assert result.injected >= 3
    assert syscalls.wrong(result) == 0, result


def test_injected_faults_find_what_is_wrong_with_a_naive_download(workshop: syscalls.Workshop) -> None:
    result = syscalls.inject(workshop, "naive", "SIGKILL", every=3)
    assert result.corrupt > 0
    assert result.unhealed > 0


def test_T1_T12_dvc_repro_killed_and_started_again_ends_on_the_same_bytes(tmp_path: Path) -> None:
    for result in repro_kills.kill_often(tmp_path, kills=2):
        assert repro_kills.wrong(result) == 0, result
