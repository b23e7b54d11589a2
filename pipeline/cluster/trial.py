"""Trials on any machine, each a DVC experiment in a shared clone, packed to be sent.

python -m pipeline.cluster.trial    reads Orders, a line of JSON each, and prints each result as a line of JSON

When its stdin closes, the process that ordered the trials has died. Then the trial ends, with all that it started.
"""

import base64
import contextlib
import importlib
import json
import os
import re
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn

from filelock import FileLock

from pipeline.base.errors import PipelineError, one_line
from pipeline.base.programs import environment
from pipeline.base.programs import git as run_git
from pipeline.cluster.worker import Order, stored
from pipeline.params import PARAMS_FILE

GRACE_SECONDS = 5.0  # for a training that is told to stop: it saves a checkpoint
IDLE_SECONDS = 60.0  # a process that waits longer for a trial ends: nobody tells it that the sweep was killed
CHECKPOINTS = "data/checkpoints"
PIPELINE = ("dvc.yaml", "dvc.lock")
git = partial(run_git, advice="look at the machine of the trial")
SLOW = ("dvc.cli.parser", "dvc.commands.repro", "dvc.repo.reproduce", "dvc.utils.hydra", "hydra", "networkx")


def main() -> None:
    """Run trials, each in a fork of this process: DVC is imported once, which takes a second."""
    for name in SLOW:
        with contextlib.suppress(ImportError):  # another version of DVC may have other modules
            importlib.import_module(name)
    while select.select([0], [], [], IDLE_SECONDS)[0] and (line := sys.stdin.readline()):
        print(json.dumps(forked(json.loads(line))), flush=True)


def forked(order: Order) -> dict[str, Any]:
    """The result of a trial in a process of its own. If it crashes, its last line is the error."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            run(order, said, errors)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # if it was killed, its training still runs
            last = text(errors).strip().rpartition("\n")[2] or "perhaps this machine has too little memory"
            return {"error": f"the process of the trial ended with code {code}: {last}"}
        return dict(json.loads(text(said)))


def text(file: IO[bytes]) -> str:
    """The whole content of a file that another process may have written."""
    file.seek(0)
    return file.read().decode(errors="replace")


def run(order: Order, said: IO[bytes], errors: IO[bytes]) -> NoReturn:
    """Run the trial in this process, which is a fork, and write its result to `said`."""
    os.setsid()  # all that the trial starts is one group, which can be ended
    signal.signal(signal.SIGTERM, lambda *_: None)  # from end_all; if it were ignored, the training would ignore it too
    unwanted = threading.Event()
    ending = threading.Thread(target=end_all, args=[os.dup(0), unwanted], daemon=True)
    ending.start()
    with open(os.devnull, "r+b") as nothing:
        for number, file in enumerate((nothing, nothing, errors)):  # what DVC and the stages read and print
            os.dup2(file.fileno(), number)
    with FileLock(Path(order["place"], f"{order['name']}.lock")):  # the same trial may still be ending here
        try:
            result = outcome(order, errors)
        except (PipelineError, OSError) as error:
            result = {"error": one_line(error)}
        if unwanted.is_set():
            ending.join()
        said.write(json.dumps(result).encode())
        said.flush()
    sys.exit()


def end_all(orders: int, unwanted: threading.Event) -> None:
    """When the pipe of orders closes, end this process and all that it started."""
    os.read(orders, 1)
    unwanted.set()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def outcome(order: Order, errors: IO[bytes]) -> dict[str, Any]:
    """The result of a trial: the experiment as a git bundle, and the MD5s of its cached files.

    errors: the file that stderr is.
    Raises PipelineError where a stage failed, with its message.
    """
    from dvc.utils.hydra import apply_overrides

    folder, head = Path(order["place"], order["name"]), order["head"]
    code = Path(order["place"], "code")
    project = clone(code, folder, order)
    for cache in code.glob("pipeline/**/__pycache__"):  # each trial would compile it again
        shutil.copytree(cache, folder / cache.relative_to(code), dirs_exist_ok=True)
    link(project, order)
    if order["overrides"]:
        apply_overrides(project / PARAMS_FILE, order["overrides"])
    dvc(project, errors, "repro", "dvc.yaml")
    ref = experiment(folder, order)
    git("bundle", "create", "--quiet", "experiment.bundle", ref, f"^{head}", folder=folder)
    bundle = base64.b64encode((folder / "experiment.bundle").read_bytes()).decode()
    named = set(re.findall(r"md5: (\w{32})$", (project / "dvc.lock").read_text("utf-8"), re.MULTILINE))
    made = sorted(named - {*order["data"].values()})  # some are code or in git
    shutil.rmtree(folder)
    return {"bundle": bundle, "cached": [md5 for md5 in made if stored(order, md5).exists()]}


def experiment(folder: Path, order: Order) -> str:
    """Commit what a trial changed, as `dvc exp run` does; return its reference. What the clone lacks stays."""
    name, head = order["name"], order["head"]
    git("add", "--all", folder=folder)
    tree = git("write-tree", folder=folder)
    who = ("-c", f"user.name={order['who'][0]}", "-c", f"user.email={order['who'][1]}")
    commit = git(*who, "commit-tree", tree, "-p", head, "-m", f"dvc: commit experiment {name}", folder=folder)
    git("update-ref", ref := f"refs/exps/{head[:2]}/{head[2:]}/{name}", commit, folder=folder)
    return ref


def clone(source: Path, folder: Path, order: Order) -> Path:
    """Replace `folder` by a shared clone, keep its checkpoints, and return the project in it.

    A trial that was killed may have left anything there, such as half a dvc.lock.
    """
    fresh = Path(tempfile.mkdtemp(dir=folder.parent))
    git("clone", "--quiet", "--shared", "--no-checkout", str(source), str(fresh))
    git("sparse-checkout", "set", "--no-cone", "/*", *(f"!/{path}" for path in foreign(fresh, order)), folder=fresh)
    git("checkout", "--quiet", "--detach", order["head"], folder=fresh)
    config = f'[cache]\n    dir = "{order["cache"]}"\n    type = "reflink,hardlink,copy"\n'
    config += f'[core]\n    site_cache_dir = "{order["place"]}/dvc"\n'  # DVC would leave a folder of each clone
    (fresh / order["dvc"] / ".dvc/config.local").write_text(config, "utf-8")
    project, kept = fresh / order["project"], folder / order["project"] / CHECKPOINTS
    if kept.is_dir():
        kept.rename(project / CHECKPOINTS)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return folder / order["project"]


def foreign(folder: Path, order: Order) -> list[str]:
    """The files of other pipelines in the repository. Clones lack them, because DVC would parse each several times."""
    files = git("ls-tree", "-r", "-z", "--name-only", order["head"], folder=folder).split("\0")
    own = {order["project"] + name for name in PIPELINE}
    return [path for path in files if path.rpartition("/")[2] in PIPELINE and path not in own]


def link(project: Path, order: Order) -> None:
    """Put the outputs of the shared stages where DVC finds them, and tell it their MD5s, which it believes."""
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    if order["lock"]:
        (project / "dvc.lock").write_text(order["lock"], "utf-8")
    with Repo(str(project)) as repo:
        for path, md5 in order["data"].items():
            target = project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(stored(order, md5), target)
            except OSError:  # another file system, or one without links
                shutil.copy(stored(order, md5), target)
            repo.state.save(str(target), repo.fs, HashInfo("md5", md5))


def dvc(project: Path, errors: IO[bytes], *arguments: str) -> None:
    """Run DVC in silence in this process, whose stderr is `errors`. Raises PipelineError with its first error."""
    from dvc.cli import main as dvc_main

    os.chdir(project)
    os.environ.update(environment())
    if code := dvc_main(list(arguments)):
        raise PipelineError(first_error(text(errors), code, arguments))


def first_error(said: str, code: int, arguments: Sequence[str]) -> str:
    """The first error of a stage in what DVC said, or else of DVC, or else the last line."""
    lines = said.strip().splitlines() or [f"dvc {' '.join(arguments)} ended with code {code}"]
    errors = [line.removeprefix(own) for own in ("error: ", "ERROR: ") for line in lines if line.startswith(own)]
    return [*errors, lines[-1]][0]


if __name__ == "__main__":
    main()
