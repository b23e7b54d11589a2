"""A fresh clone of this repository to run commands in."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
WHO = [f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]


class Clone:
    """The last commit in a new folder; commands run its own code with the packages of this Python."""

    def __init__(self, folder: Path, **environment: str) -> None:
        if not (ROOT / ".git").exists():
            pytest.skip("NOT TESTED: this tree is not a git repository, so it cannot be cloned")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(folder),  # wins over the installed package, which is the original tree
            **{f"GIT_CONFIG_{level}": os.devnull for level in ("GLOBAL", "SYSTEM")},
            **dict.fromkeys(WHO, "someone@example.org"),
            **environment,
        }
        for level in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):  # no caches from elsewhere
            self.environment[f"DVC_{level}_DIR"] = str(folder.parent / level)
        code = self.output("python", "-c", "import pipeline; print(pipeline.__path__[0])").strip()
        assert code == str(folder / "pipeline")

    def output(self, *command: str) -> str:
        """What `command` prints on stdout; its stderr goes to this stderr."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def lock(self, name: str = "dvc.lock") -> dict[str, Any]:
        """The stages of a lock file."""
        stages: dict[str, Any] = YAML(typ="safe").load(self.folder / name)["stages"]
        return stages

    def changed(self) -> set[str]:
        """The files that git calls changed or new."""
        return {line[3:] for line in self.output("git", "status", "--porcelain", "-uall").splitlines()}

    def peak_memory(self, module: str) -> float:
        """MB (10**6 bytes) at the peak of `python -m module`, which inherits the peak of who starts it: a small one."""
        meter = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        peak = int(self.output("python", "-c", meter, "python", "-m", module))
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def stages_run(output: str) -> list[str]:
    """The stages that `dvc repro` ran, not those that it skipped or restored."""
    return re.findall(r"^Running stage '(?:.*:)?(\w+)'", output, re.MULTILINE)
