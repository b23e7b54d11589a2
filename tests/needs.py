"""Programs and packages that some tests need and some machines lack."""

import os
from pathlib import Path

import pytest

MNIST = Path(os.environ.get("MNIST_FOLDER") or Path(__file__).parents[2] / "shared" / "mnist")
MNIST_ITSELF = f"MNIST itself: there is no folder {MNIST}; MNIST_FOLDER=... names another"


def need(found: object, otherwise: str) -> None:
    """Skip the test where something is not `found`. With CI=true the test fails, so that nobody overlooks it."""
    if not found:
        missing = f"not tested: {otherwise}"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
