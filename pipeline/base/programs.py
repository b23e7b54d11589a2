"""Other programs, run by commands: git, DVC and Python itself."""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.base.errors import PipelineError


def environment(**more: str) -> dict[str, str]:
    """The environment variables of this process, with this Python first on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path} | more


def git(*arguments: str, folder: Path = Path(), advice: str = "run it inside the project's repository") -> str:
    """What git prints. Raises PipelineError with git's message and `advice` where git fails."""
    done = subprocess.run(  # noqa: S603  # git as it is found
        ["git", *arguments],  # noqa: S607
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
    )
    if done.returncode:
        raise PipelineError(f"git says: {done.stderr.strip()}; {advice}.")
    return done.stdout.removesuffix("\n")
