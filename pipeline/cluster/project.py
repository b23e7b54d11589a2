"""The repository of a sweep: it sends code and data to workers, and is the only place where results are recorded."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.base.errors import PipelineError
from pipeline.base.files import write_bytes
from pipeline.base.programs import environment, git
from pipeline.base.schema import Metrics, read_json
from pipeline.cluster.trial import clone, first_error, link
from pipeline.cluster.trials import Trial
from pipeline.cluster.worker import Order, stored
from pipeline.params import PARAMS_FILE, parse

METRICS = "data/evaluation/metrics.json"
SHARED = ("download", "convert")  # the stages whose outputs trials share


class Project(NamedTuple):
    """A commit without local changes, and one of its pipelines."""

    root: Path
    scratch: Path  # a folder for the sweep, on this machine
    order: Order  # what the orders of all trials have in common


def find_project(sweep: str) -> Project:
    """The pipeline of the current folder. Raises PipelineError where the files here are not those of the commit."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    root, head = Path(git("rev-parse", "--show-toplevel")), git("rev-parse", "HEAD")
    if changed := git("status", "--porcelain", "--untracked-files=no"):
        raise PipelineError(
            f"{changed.splitlines()[0][3:]} is changed and not committed, so trials would run without the change; "
            "commit it, or put it away: git stash."
        )
    try:
        with Repo() as repo:
            base, cache = Path(repo.root_dir), Path(repo.cache.local.path).parents[1]
    except NotDvcRepoError as error:
        raise PipelineError(f"{error}; run it in the folder of a dvc.yaml.") from None
    name, _, mail = git("var", "GIT_COMMITTER_IDENT", advice="every trial becomes a commit").rpartition(" <")
    shallow = Path(git("rev-parse", "--git-path", "shallow"))
    scratch = base / ".dvc/tmp/sweep" / sweep
    order = Order(
        name=f"{sweep}-",
        overrides=[],
        place=str(scratch / head),
        cache=str(cache),
        head=head,
        shallow=shallow.read_text() if shallow.exists() else "",
        project=git("rev-parse", "--show-prefix"),
        dvc=base.relative_to(root).as_posix(),
        code="",
        lock="",
        data={},
        who=[name, mail.partition(">")[0]],
    )
    return Project(root, scratch, order)


def cleaned(project: Project) -> None:
    """Make the place of the orders. Removes files of a stopped sweep of another commit."""
    place = Path(project.order["place"])
    for left in project.scratch.glob("[!.]*"):
        if left != place:
            shutil.rmtree(left)
    place.mkdir(mode=0o700, exist_ok=True)  # DVC makes a folder in it that everybody may write


def bundled(project: Project) -> str:
    """The MD5 of a git bundle of the code, which is made in the place of the orders."""
    bundle = Path(project.order["place"], "code.bundle")
    git("bundle", "create", "--quiet", str(bundle), "HEAD", folder=project.root)
    md5 = digest(bundle.read_bytes())
    bundle.rename(stored(project.order | {"code": md5}, md5))
    return md5


def digest(content: bytes) -> str:
    """MD5, by which DVC names files."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def ordered(project: Project, trials: Iterable[Trial]) -> dict[str, Order]:
    """An order for each trial, by name. Data that trials share are made here, once."""
    made: dict[tuple[str, ...], Order] = {}
    for one in trials:
        if (sets := shared(one)) not in made:
            made[sets] = prepared(project, sets)
    overrides = {one.name: [f"{key}={value}" for key, value in one.settings.items()] for one in trials}
    return {one.name: made[shared(one)] | {"name": one.name, "overrides": overrides[one.name]} for one in trials}


def shared(one: Trial) -> tuple[str, ...]:
    """The settings of a trial for the stages whose outputs trials share."""
    return tuple(f"{key}={value}" for key, value in one.settings.items() if key.partition(".")[0] in SHARED)


def prepared(project: Project, sets: Sequence[str]) -> Order:
    """Run the shared stages with those settings in a clone, unless DVC has the outputs already."""
    from dvc.repo import Repo
    from dvc.utils.hydra import apply_overrides

    here = clone(project.root, Path(project.order["place"], "data"), project.order)
    lock = here / "dvc.lock"
    if lock.exists():
        kept = {path: md5 for path, md5 in outputs(lock, *SHARED).items() if sound(stored(project.order, md5))}
        link(here, project.order | {"data": kept})
    if sets:
        apply_overrides(here / PARAMS_FILE, list(sets))
    with Repo(str(here)) as repo, repo.lock:
        stale = any(stage.status(check_updates=True) for stage in repo.index.stages if stage.name in SHARED)
    if stale:
        raw = Path("data/raw").absolute().as_uri()  # it may hold the files already
        dvc(here, "repro", "convert", PIPELINE_MIRRORS=f"{raw} {os.environ.get('PIPELINE_MIRRORS', '')}")
    made = project.order | {"lock": lock.read_text("utf-8"), "data": outputs(lock, *SHARED)}
    shutil.rmtree(Path(project.order["place"], "data"))
    return made


def sound(path: Path) -> bool:
    """Whether a file of DVC's cache has the MD5 of its name. If not, it is removed, because DVC would trust it."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        if hashlib.file_digest(file, "md5").hexdigest() == path.parent.name + path.name:
            return True
    path.unlink()
    return False


def dvc(project: Path, *arguments: str, **more: str) -> None:
    """Run DVC in silence. Raises PipelineError with its first error."""
    done = subprocess.run(  # noqa: S603  # the DVC of this Python
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise PipelineError(first_error(done.stderr, done.returncode, arguments))


def outputs(lock: Path, *only: str) -> dict[str, str]:
    """Path and MD5 of each output in dvc.lock, in the order of the stages; if `only` names stages, of these only."""
    stages = parse(lock.read_text("utf-8"))["stages"].items()
    return {out["path"]: out["md5"] for stage, entry in stages if stage in only or not only for out in entry["outs"]}


def reference(project: Project, name: str) -> str:
    """The git reference of a trial's experiment."""
    head = project.order["head"]
    return f"refs/exps/{head[:2]}/{head[2:]}/{name}"


def recorded(project: Project, trials: Sequence[Trial]) -> set[str]:
    """The names of those trials that are experiments already."""
    found = git("for-each-ref", "--format=%(refname)", reference(project, "").rstrip("/"), folder=project.root)
    return {one.name for one in trials} & {line.rpartition("/")[2] for line in found.splitlines()}


def record(project: Project, name: str, result: Mapping[str, Any]) -> None:
    """Record a result as an experiment here: its files first, its name last. Raises PipelineError if it is damaged."""
    for md5, content in result["files"].items():
        if digest(content) != md5:
            raise PipelineError(f"{name}: a file arrived damaged; run the same command again to go on.")
        if not (path := stored(project.order, md5)).exists():
            write_bytes(path, content)
            path.chmod(0o444)
    with tempfile.NamedTemporaryFile(dir=project.scratch, suffix=".bundle") as file:
        file.write(base64.b64decode(result["bundle"]))
        file.flush()
        ref = reference(project, name)
        git("fetch", "--quiet", file.name, f"{ref}:{ref}", folder=project.root)


def metrics(project: Project, name: str) -> dict[str, Any]:
    """The metrics of a recorded trial."""
    path = project.order["project"] + METRICS
    content = git("show", f"{reference(project, name)}:{path}", folder=project.root)
    return read_json(content, Path(path), Metrics, f"remove the experiment and run it again: dvc exp remove {name}")
