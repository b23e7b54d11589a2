"""Fixtures that tests of several modules share."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from by_hand import all_stages
from fault_server import serving
from fetching import Authority
from hypothesis import HealthCheck, settings

from pipeline.datasets.fetch import Patience

ROOT = Path(__file__).parents[1]
# Neither time nor chance decides: `make explore` alone draws at random, and what it finds becomes an @example.
settings.register_profile("check", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", settings.get_profile("check"), derandomize=False, max_examples=500)
settings.load_profile("check")

MNIST = Path(os.environ.get("MNIST_FOLDER") or ROOT.parent / "shared" / "mnist")


@pytest.fixture(scope="session")
def mnist_mirror() -> Iterator[str]:
    """The URL of a server on this machine with the four MNIST files."""
    if not MNIST.is_dir():
        missing = f"MNIST ITSELF IS NOT TESTED: no folder {MNIST}; MNIST_FOLDER may name another"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    command = [sys.executable, str(ROOT / "tools" / "serve_folder.py"), str(MNIST)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """A shell lets the jobs in its background ignore SIGINT, and a stage that ignores it is not stopped by it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIPELINE_MIRRORS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of somebody without root's right to do anything anywhere, who runs the test."""
    if sys.platform == "win32":
        pytest.skip("no file here is kept from its owner by its mode")
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        if user == 0:
            os.chown(name, 65534, -1)
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(user)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "raw"


@pytest.fixture
def waits():
    """The seconds that fetches under `patience` would have slept between tries."""
    return []


@pytest.fixture
def patience(waits):
    return Patience(connect=1, read=0.2, start=0.5, speed=1e6, sleep=waits.append, dice=lambda: 0.5)


@pytest.fixture
def authority(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    return authority


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all stages have run on the bundled digits; not to be written to."""
    return all_stages(tmp_path_factory.mktemp("by hand"))


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """The finished folder, to be spoiled."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"
