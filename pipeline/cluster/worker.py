"""What a Dask worker does for a trial: it fetches code and data, and gives the trial to a process that runs trials.

Dask sends this module by value, so that a worker needs the pinned packages but not this project: the code of a trial
comes as a git bundle. Therefore this module imports nothing but the standard library, and Dask inside functions.
"""

import contextlib
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TypedDict

POLL_SECONDS = 0.05
ONE_THREAD = {"PIPELINE_THREADS": "1"}  # the other cores have trials of their own


class Order(TypedDict):
    """A trial, as it is sent to a worker."""

    name: str
    overrides: list[str]  # as `dvc exp run -S` takes them
    place: str  # a folder for the sweep; empty: a folder of the worker's machine
    cache: str  # DVC's cache; empty: a cache in `place`
    head: str  # the commit
    shallow: str  # .git/shallow of the repository: where its history is cut
    project: str  # the folder of dvc.yaml in the repository
    dvc: str  # the folder of .dvc in the repository
    code: str  # MD5 of the git bundle
    lock: str  # dvc.lock with the shared stages up to date
    data: dict[str, str]  # the outputs of the shared stages: path in `project`, MD5
    who: list[str]  # name and e-mail of who made the sweep: git wants them for a commit


def settled(order: Order) -> Order:
    """The order, with folders of this machine where it names none."""
    sweep = hashlib.sha256(
        f"{order['head']} {order['name'].rpartition('-')[0]} {order['project']}".encode()
    ).hexdigest()
    place = Path(order["place"] or own_folder() / sweep[:16])
    place.mkdir(parents=True, exist_ok=True)
    return order | {"place": str(place), "cache": order["cache"] or str(place / "cache")}


def own_folder() -> Path:
    """This user's folder for temporary files; nobody else made it or can read it."""
    folder = Path(tempfile.gettempdir(), f"pipeline-sweep-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise PermissionError(f"{folder} may be written by others; remove it, or give the worker another TMPDIR")
    return folder


def stored(order: Order, md5: str) -> Path:
    """The path of the file with that MD5 on this machine: code is in the place, data in DVC's cache."""
    if md5 == order["code"]:
        return Path(order["place"], f"{md5}.bundle")
    return Path(order["cache"], "files", "md5", md5[:2], md5[2:])


def lacking(order: Order) -> list[str]:
    """The MD5s of the files that the trial needs and this machine does not have."""
    order = settled(order)
    return [md5 for md5 in (order["code"], *order["data"].values()) if not stored(order, md5).exists()]


def store(order: Order, md5: str, offset: int, piece: bytes, last: bool) -> None:
    """Write a piece of a missing file; the last piece gives it its name. Raises OSError where the file is damaged."""
    target = stored(settled(order), md5)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with part.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        file.write(piece)
    if last:
        with part.open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() != md5:
                raise OSError(f"{target} arrived damaged")
        part.chmod(0o444)
        part.replace(target)


def run(order: Order) -> dict[str, Any]:
    """Run the trial; return its error, its experiment and cached files, or the files that are still missing."""
    from distributed import get_worker

    if missing := lacking(order):
        return {"lacking": missing, "worker": get_worker().address}
    here = settled(order)
    unpack(here)
    result = watched(here)
    cached = [] if order["cache"] else result.get("cached", [])  # DVC has put them there itself
    return result | {"files": {md5: stored(here, md5).read_bytes() for md5 in cached}}


def unpack(order: Order) -> None:
    """Make the repository that each trial clones with shared objects; it is complete or does not exist."""
    code = Path(order["place"], "code")
    if code.exists():
        return
    fresh = Path(tempfile.mkdtemp(dir=order["place"]))
    git(fresh, "init", "--quiet")
    if order["shallow"]:
        (fresh / ".git/shallow").write_text(order["shallow"])
    git(fresh, "fetch", "--quiet", str(stored(order, order["code"])), "HEAD")
    git(fresh, "checkout", "--quiet", order["head"])
    compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "pipeline"]
    subprocess.run(compiling, cwd=fresh, check=False, capture_output=True)  # noqa: S603  # this Python
    try:
        fresh.rename(code)
    except OSError:  # another worker of this machine was first
        shutil.rmtree(fresh)


def git(folder: Path, *arguments: str) -> None:
    """Run git there. Raises OSError with its message where it fails."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode:
        raise OSError(f"git says: {done.stderr.strip()}")


def watched(order: Order) -> dict[str, Any]:
    """The result of the trial. The trial ends with this process, or when Dask cancels the task: the sweep is gone."""
    from distributed import get_worker

    worker = get_worker()
    task = worker.state.tasks[worker.get_current_task()]
    runners = runners_of(worker, order)
    runner = taken(runners) or started(order)
    if not took(runner, order):
        return watched(order)
    answer = select.poll()  # select.select refuses a descriptor of 1024 or more
    answer.register(runner.stdout, select.POLLIN)
    while not answer.poll(1000 * POLL_SECONDS):
        if task.state == "cancelled":
            with runner, runner.errors:  # closes its stdin, so that the trial ends
                return {}  # to nobody
    if line := runner.stdout.readline():
        result = dict(json.loads(line))
        runners.append(runner)
        return result
    with runner, runner.errors:
        runner.errors.seek(0)
        last = runner.errors.read().decode(errors="replace").strip().rpartition("\n")[2]
    if not runner.returncode:  # it had waited too long, and did not read the order
        return watched(order)
    return {"error": f"the process of the trials ended with code {runner.returncode}: {last}"}


def took(runner: Any, order: Order) -> bool:
    """Give the order to a process, unless it has ended because it had waited too long."""
    try:
        runner.stdin.write(json.dumps(order) + "\n")
        runner.stdin.flush()
    except BrokenPipeError:
        with contextlib.suppress(BrokenPipeError), runner, runner.errors:
            return False
    return True


def taken(waiting: list[Any]) -> Any:
    """A process that waits, which is the caller's now; None if none lives."""
    with contextlib.suppress(IndexError):  # another thread may take the last one
        while (runner := waiting.pop()).poll() is not None:
            end([runner])  # it was killed while it waited
        return runner
    return None


def warm(order: Order, dask_worker: Any) -> None:
    """Start a process that runs trials before there is a trial, if the code is on this machine."""
    here = settled(order)
    if stored(here, here["code"]).exists():
        unpack(here)
        runners_of(dask_worker, here).append(started(here))


def runners_of(worker: Any, order: Order) -> list[Any]:
    """The processes of a worker that wait for a trial of this sweep. Those of another sweep end."""
    found: dict[str, list[Any]] = vars(worker).setdefault("pipeline_runners", {})
    for place in {*found} - {order["place"]}:
        end(found.pop(place))
    return found.setdefault(order["place"], [])


def started(order: Order) -> Any:
    """A process that runs trials one after another; `errors` is the file of what it says."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115  # a pipe that nobody reads would fill
    runner: Any = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cluster.trial"],
        cwd=Path(order["place"], "code"),
        env=os.environ | ONE_THREAD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    )
    runner.errors = errors
    return runner


def end(waiting: list[Any]) -> None:
    """End processes that wait for a trial; each is taken from the list first, because a thread may want it."""
    with contextlib.suppress(IndexError):
        while runner := waiting.pop():
            with runner, runner.errors:
                runner.kill()


def clear(order: Order, dask_worker: Any) -> None:
    """End the waiting processes of this worker, and remove what the sweep has left on this machine."""
    here = settled(order)
    end(runners_of(dask_worker, here))
    shutil.rmtree(here["place"], ignore_errors=True)
