"""One hash of a training run, on every machine: BLAS kernels, threads, SIMD, and all else that must not matter."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import short_run

# Hashes of tools/short_run.py in exact arithmetic. Change them only if numbers are meant to change, and after
# tools/other_machines.sh has shown that the new hashes are the same everywhere, too.
GOLDEN = {
    "sigmoid": "7400e65b122df102",
    "tanh": "93dea5fcc9e358aa",
    "relu": "550f33661fd80816",
    "single": "f53bece4d8a61824",
    "cnn": "726e52982ebb2753",
    "lenet": "083d39170b1e9f66",
    "softmax": "d77e6d1bbe558ae4",
    "svm": "db434dddefcf9876",
}

CONFIGURATION = np.show_config(mode="dicts")
OPENBLAS_ON_X86 = platform.machine() in ("x86_64", "AMD64") and "openblas" in str(CONFIGURATION["Build Dependencies"])
SIMD = CONFIGURATION["SIMD Extensions"]["found"]


def kernels() -> list[str]:
    """Processors for which OpenBLAS has special kernels that this processor can run."""
    cpu_info = Path("/proc/cpuinfo")
    flags = cpu_info.read_text().split() if cpu_info.exists() else []
    needs = {"Nehalem": "sse4_2", "Sandybridge": "avx", "Haswell": "avx2", "SkylakeX": "avx512f"}
    return [name for name, flag in needs.items() if OPENBLAS_ON_X86 and flag in flags]


MACHINES = {
    "one thread": {"OPENBLAS_NUM_THREADS": "1"},
    "two threads": {"OPENBLAS_NUM_THREADS": "2"},
    "no SIMD": {"NPY_DISABLE_CPU_FEATURES": " ".join(SIMD), "OPENBLAS_NUM_THREADS": "1"},
} | {kernel: {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": "1"} for kernel in kernels()}
SURROUNDINGS = {
    "hash seed": {"env": {"PYTHONHASHSEED": "12345"}},
    "locale": {"env": {"LC_ALL": "tr_TR.UTF-8"}},
    "time zone": {"env": {"TZ": "Asia/Kathmandu"}},
    "umask": {"umask": 0o077},
    "folder": {"cwd": Path("/")},
    "python -O": {"python": ["-O"]},
}


def run(*arithmetics: str, python: Sequence[str] = (), env: Mapping[str, str] = {}, **how: Any) -> dict[str, list[str]]:
    """The hashes that short_run.py prints, by arithmetic, in the order of GOLDEN; warnings are errors there too."""
    command = [sys.executable, "-W", "error", *python, short_run.__file__, *arithmetics]
    done = subprocess.run(command, env=os.environ | env, stdout=subprocess.PIPE, text=True, check=True, **how)
    rows = [line.split() for line in done.stdout.splitlines()]
    return {name: [row[2] for row in rows if row[0] == name] for name in arithmetics}


@pytest.fixture(scope="module")
def everywhere() -> dict[str, dict[str, list[str]]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {name: pool.submit(run, "exact", "float32", env=env) for name, env in MACHINES.items()}
        return {name: job.result() for name, job in jobs.items()}


def test_this_machine_computes_the_golden_numbers():
    assert dict(line.split()[1:] for line in short_run.lines("exact")) == GOLDEN


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
def test_other_machines_compute_the_same_numbers(everywhere, machine):
    assert everywhere[machine]["exact"] == list(GOLDEN.values())


@pytest.mark.slow
@pytest.mark.skipif(len(kernels()) < 2, reason="needs OpenBLAS on a processor for which it has several kernels")
@pytest.mark.parametrize("net", GOLDEN)
def test_in_float32_they_do_not(everywhere, net):
    assert len({hashes["float32"][list(GOLDEN).index(net)] for hashes in everywhere.values()}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("how", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_surroundings_do_not_matter(how):
    assert run("exact", **how)["exact"] == list(GOLDEN.values())
