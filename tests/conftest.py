"""How the tests run, and what several of them stand on."""

import os
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, DRIVER, Browser, browsing
from by_hand import all_stages
from fault_server import serving
from fetching import Authority
from hypothesis import HealthCheck, settings
from needs import MNIST, MNIST_ITSELF, need
from serve_folder import serving_folder

from pipeline.datasets.fetch import Patience

# Tests do not depend on time or chance: only `make explore` draws at random; its failures become an @example.
settings.register_profile("check", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", settings.get_profile("check"), derandomize=False, max_examples=300)
settings.load_profile("check")

# Variables of a user's environment that may change the tested programs.
FOREIGN = "(https?|all|no)_proxy|(requests|curl)_ca_bundle|netrc|pipeline_mirrors|git_(dir|index_file|work_tree)|dvc_.*"
FOREIGN += "|pipeline_threads|pythonwarnings|mplbackend|columns|.*color.*|github_actions"


def pytest_configure() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a shell ignore it
    for name in filter(re.compile(FOREIGN, re.IGNORECASE).fullmatch, list(os.environ)):
        del os.environ[name]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each reason to skip, for any number of tests."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def mnist_mirror() -> Iterator[str]:
    """The URL of a server on this machine with the four MNIST files."""
    need(MNIST.is_dir(), MNIST_ITSELF)
    with serving_folder(MNIST) as url:
        yield url


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A window of a real browser."""
    need(CHROMIUM and DRIVER, "the pages in a browser: on Debian, apt-get install chromium chromium-driver")
    with browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of a user without root's rights; the test runs as this user."""
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
    """Limits that never sleep, and that give servers on a busy machine much time."""
    return Patience(speed=1e6, sleep=waits.append, dice=lambda: 0.5)


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
