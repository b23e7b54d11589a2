"""A sweep is many DVC experiments: all are recorded, even if processes die, with the bits of a training by hand."""

import contextlib
import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import requests
from by_hand import STAGES, must
from clone import ROOT, Clone
from needs import need

from pipeline.__main__ import main as pipeline
from pipeline.base.errors import PipelineError
from pipeline.base.provenance import sha256
from pipeline.cluster import engine, worker
from pipeline.cluster.project import Project, find_project, record, sound
from pipeline.cluster.trial import CHECKPOINTS, clone
from pipeline.cluster.trials import expand
from pipeline.commands import sweep
from pipeline.report.comparison import Run, ranked

if TYPE_CHECKING:
    import psutil

PARAMS = ROOT / "examples/digits/params.yaml"


@pytest.fixture(scope="session")
def dask() -> None:
    need(find_spec("distributed"), "sweeps; make extras installs distributed")


# what a trial is


def test_choices_are_expanded_as_dvc_expands_those_of_its_queue() -> None:
    layers = "train.layers=[affine 20, tanh, affine],[conv 6 3, relu, affine]"
    trials = expand("all", ["train.seed=range(1,3)", layers, "train.length=5 iterations"], "", PARAMS)
    assert [" ".join(one.settings.values()) for one in trials] == [
        f"{seed} {net} 5 iterations"
        for seed in (1, 2)
        for net in ("[affine 20, tanh, affine]", "[conv 6 3, relu, affine]")
    ]
    assert trials[3].params["train"]["layers"] == ["conv 6 3", "relu", "affine"]


def test_the_name_of_a_trial_follows_from_its_settings_and_its_pipeline() -> None:
    (one,) = expand("seeds", ["train.seed=1", "train.learning_rate=0.10"], "", PARAMS)
    (same,) = expand("seeds", ["train.learning_rate=1e-1", "train.seed=1,01"], "", PARAMS)
    (elsewhere,) = expand("seeds", ["train.seed=1", "train.learning_rate=0.1"], "examples/digits/", PARAMS)
    assert one.name == same.name == "seeds-3f8592d2"
    assert elsewhere.name != one.name


REFUSED = {
    "train.learning_rat=0.1": "train.learning_rat is unknown; did you mean learning_rate?",
    "train.seed=range(1": "-S train.seed=range(1: no viable alternative at input 'range(1'",
    "train.seed=interval(0,1)": "BasicSweeper does not support sweep type",
    "train.seed=glob(*)": "is not supported",
    "train.seed=1,-1": "-S train.seed=-1: train.seed is -1; it must be greater than or equal to 0.",
    "seed=1": "-S seed=1: expected one of download, convert, train, evaluate, a dot and a key.",
}


@pytest.mark.parametrize("override", REFUSED)
def test_a_choice_that_will_not_do_is_refused_before_anything_runs(override: str) -> None:
    with pytest.raises(PipelineError) as error:
        expand("sweep", [override], "", PARAMS)
    assert REFUSED[override] in str(error.value)


def test_trials_are_ranked_by_the_validation_split_and_a_loss_from_below() -> None:
    metrics = {
        "a": {"accuracy": 0.9, "loss": 1.0, "validation_accuracy": 0.7, "validation_loss": 0.5},
        "b": {"accuracy": 0.8, "loss": 2.0, "validation_accuracy": 0.8, "validation_loss": 0.6},
        "c": {"accuracy": 1.0, "loss": 0.1},
    }
    runs = [Run(name, {}, found, {}) for name, found in metrics.items()]
    assert [run.name for run in ranked(runs)] == ["b", "a", "c"]
    assert [run.name for run in ranked(runs, "loss")] == ["a", "b", "c"]


OPTIONS = {
    ("--objective", "speed"): "--objective is 'speed'; choose accuracy, loss or crops_accuracy.",
    ("--workers", "-1"): "--workers is -1; give 1 or more",
    ("--workers", "2", "--cluster", "tls://head:8786"): "--workers is 2; give 1 or more; with --cluster, leave it out",
    ("--cluster", "head"): "--cluster is 'head'; expected an address such as tls://head:8786.",
    ("--name", "a/b"): "--name is 'a/b'; use up to 60 letters, digits, - and _.",
    (): "nothing is swept; name choices, such as -S 'train.seed=range(1,4)'.",
}


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_an_option_that_will_not_do_is_one_line(options: tuple[str, ...], monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["pipeline", "sweep", *options])
    with pytest.raises(SystemExit) as left:
        pipeline()
    told = f"{left.value}\n"
    assert told.startswith(f"error: {OPTIONS[options]}")
    assert capsys.readouterr() == ("", told)


def test_a_sweep_refuses_changes_that_its_trials_would_not_see(tmp_path: Path, monkeypatch) -> None:
    clone = Clone(tmp_path / "clone")
    (clone.folder / "params.yaml").write_text("train: {}")
    monkeypatch.chdir(clone.folder)
    with pytest.raises(PipelineError, match=r"^params.yaml is changed and not committed, .* git stash\.$"):
        find_project("sweep")


def test_an_unprotected_cluster_is_warned_of(capsys) -> None:
    sweep.require(0, "tcp://head:8786", "accuracy")
    assert capsys.readouterr().err.startswith("warning: tcp://head:8786 is not protected by TLS: ")


# what a worker has


@pytest.fixture
def order(tmp_path: Path) -> worker.Order:
    files = [b"code", b"data" * 1000]
    code, data = (hashlib.md5(content).hexdigest() for content in files)
    return worker.Order(
        name="s-1", overrides=[], place=str(tmp_path / "place"), cache="", head="a" * 40, shallow="", project="",
        dvc=".", code=code, lock="", data={"data.npz": data}, who=["A", "a@b.c"],
    )  # fmt: skip


def test_a_file_that_a_machine_lacks_arrives_in_pieces_and_whole(order: worker.Order) -> None:
    code, data = worker.lacking(order)
    worker.store(order, code, 0, b"code", last=True)
    assert worker.lacking(order) == [data]
    worker.store(order, data, 0, b"interrupted, and begun again", last=False)
    for offset in 0, 2000:
        worker.store(order, data, offset, b"data" * 500, last=offset > 0)
    assert worker.lacking(order) == []


def test_a_file_that_arrives_damaged_is_not_taken(order: worker.Order) -> None:
    with pytest.raises(OSError, match="arrived damaged"):
        worker.store(order, order["code"], 0, b"cod", last=True)
    assert order["code"] in worker.lacking(order)


@pytest.mark.skipif(os.name != "posix", reason="users are told apart by POSIX")
def test_a_temporary_folder_that_another_user_may_write_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = worker.own_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="may be written by others"):
        worker.own_folder()


def test_a_trial_that_starts_again_has_its_checkpoints_and_nothing_else_of_the_killed_one(tmp_path: Path) -> None:
    source = Clone(tmp_path / "source")
    head = source.output("git", "rev-parse", "HEAD").strip()
    order: Any = {"head": head, "place": "/the/place", "cache": "/the/cache", "dvc": ".", "project": "examples/digits/"}
    for content in b"half written", b"saved":
        project = clone(source.folder, tmp_path / "trial", order)
        (project / "dvc.lock").write_bytes(content)
        (project / CHECKPOINTS).mkdir(exist_ok=True)
        (project / CHECKPOINTS / "a.npz").write_bytes(content)
    project = clone(source.folder, tmp_path / "trial", order)
    assert (project / CHECKPOINTS / "a.npz").read_bytes() == b"saved"
    assert (project / "dvc.lock").read_bytes() == (source.folder / "examples/digits/dvc.lock").read_bytes()
    assert 'dir = "/the/cache"' in (tmp_path / "trial/.dvc/config.local").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "trial"]


def test_a_process_that_waits_for_a_trial_ends_when_none_comes() -> None:
    """The driver of a sweep on a cluster may have died."""
    program = "from pipeline.cluster import trial; trial.SLOW, trial.IDLE_SECONDS = (), 0.1; trial.main()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as waiting:
        assert waiting.wait(timeout=60) == 0


def test_a_trial_that_the_system_kills_says_so() -> None:
    program = (
        "import os\nfrom pipeline.cluster import trial\n"
        "trial.run = lambda *arguments: os.kill(os.getpid(), 9)\nprint(trial.forked({})['error'])"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert told == "the process of the trial ended with code -9: perhaps this machine has too little memory\n"


def test_code_that_cannot_be_unpacked_is_an_error_in_words(order: worker.Order) -> None:
    place = Path(order["place"])
    place.mkdir()
    worker.stored(order, order["code"]).write_bytes(b"no bundle")
    with pytest.raises(OSError, match=r"git says: .*bundle"):
        worker.unpack(order)


def test_a_damaged_file_of_the_cache_is_not_shared(tmp_path: Path) -> None:
    content = b"data"
    path = tmp_path / "8d" / "777f385d3dfec8815d20f7496026dc"
    path.parent.mkdir()
    path.write_bytes(content)
    assert sound(path)
    path.write_bytes(content[::-1])
    assert not sound(path)
    assert not path.exists()


class Cluster:
    """A Dask client that runs functions here; its worker dies at call number `dies`."""

    def __init__(self, dies: int) -> None:
        self.calls, self.dies = 0, dies

    def run(self, function: Callable[..., Any], *arguments: Any, workers: list[str]) -> dict[str, Any]:
        self.calls += 1
        if self.calls >= self.dies:
            raise OSError("Timed out")
        return {workers[0]: function(*arguments)}

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {} if self.calls >= self.dies else {"tls://a": {}}}


@pytest.mark.parametrize("dies", range(1, 6))
def test_what_a_machine_lacks_is_sent_whole_or_its_worker_is_gone(
    order: worker.Order, tmp_path: Path, monkeypatch, dies: int
) -> None:
    monkeypatch.setattr(engine, "PIECE", 3000)
    here = order | {"place": str(tmp_path / "here"), "cache": str(tmp_path / "here/cache")}
    for md5, content in zip(worker.lacking(here), (b"code", b"data" * 1000), strict=True):
        worker.store(here, md5, 0, content, last=True)
    engine.deliver(Cluster(dies), "tls://a", order, here)
    assert len(worker.lacking(order)) == (2, 2, 1, 1, 0)[dies - 1]


def test_a_trial_reaches_a_worker_that_has_not_this_project(dask: None, order: worker.Order, tmp_path: Path) -> None:
    import cloudpickle

    (tmp_path / "pipeline.py").write_text("raise ImportError('a worker needs no project')")
    cloudpickle.register_pickle_by_value(worker)
    try:
        (tmp_path / "task").write_bytes(pickle.dumps((engine.ByValue(worker.lacking), order)))
    finally:
        cloudpickle.unregister_pickle_by_value(worker)
    code = "import pickle; function, order = pickle.load(open('task', 'rb')); print(*function(order))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == worker.lacking(order)


def test_without_dask_a_sweep_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(PipelineError, match=r"^distributed, which runs the trials, is not installed: make extras\.$"),
        engine.connected("", 1, "/"),
    ):
        pass


def test_what_came_back_damaged_is_not_recorded(order: worker.Order, tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path, order | {"cache": str(tmp_path / "cache")})
    with pytest.raises(PipelineError, match="s-1: a file arrived damaged"):
        record(project, "s-1", {"files": {order["code"]: b"other"}, "bundle": ""})
    assert not (tmp_path / "cache").exists()


# sweeps of the bundled digits

SHORT = ["-S", "train.length=60 iterations", "-S", "convert.validation=300"]
WEIGHTS = "examples/digits/data/model/weights.npz"
SPY = "import os, sys; open(os.environ['SPY'], 'a').write(' '.join(sys.orig_argv) + '\\n')"


class Swept(NamedTuple):
    """A clone in which sweeps run, and a file that has a line for each Python program that they started."""

    clone: Clone
    started: Path

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["python", "-m", "pipeline", "sweep", *arguments],
            cwd=self.clone.folder / "examples/digits",
            env=self.clone.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sha256(self, experiment: str) -> str:
        """The SHA-256 of the weights of an experiment."""
        out = self.started.with_name("weights.npz")
        self.clone.output("dvc", "get", ".", WEIGHTS, "--rev", experiment, "--force", "--out", str(out))
        return sha256(out)

    def experiments(self) -> set[str]:
        return set(self.clone.output("dvc", "exp", "list", "--name-only").split())

    def trials(self) -> list["psutil.Process"]:
        """The processes of trials that run anywhere below the folder of the clone: forks of the ones that wait."""
        every = processes(self.started.parent, "pipeline.cluster.trial")
        return [one for one in every if one.ppid() in {other.pid for other in every}]


def processes(folder: Path, word: str = "") -> list["psutil.Process"]:
    """The processes that work in a folder and have that word in their command."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder) and word in " ".join(process.cmdline()):
                found.append(process)
    return found


def trials(told: str, what: str) -> list[str]:
    """The names of the trials that ended in this way."""
    return re.findall(rf"^\d+ of \d+  (\S+)  .*  {what}", told, re.MULTILINE)


def wait_for(condition: Callable[[], Any]) -> Any:
    """The value of a condition as soon as it is true."""
    for _ in range(6000):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.fixture(scope="module")
def swept(dask: None, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "spy").mkdir()
    (folder / "spy/sitecustomize.py").write_text(SPY)
    clone = Clone(folder / "clone@home", PIPELINE_MIRRORS="", SPY=str(folder / "started"))
    clone.environment["PYTHONPATH"] += os.pathsep + str(folder / "spy")
    return Swept(clone, folder / "started")


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> str:
    """SHA-256 of the weights of seed 1, trained without DVC."""
    folder = tmp_path_factory.mktemp("by hand")
    shutil.copy(PARAMS, folder)
    for stage in STAGES[:3]:
        must(folder, stage, *SHORT[1::2], "train.seed=1")
    return sha256(folder / "data/model/weights.npz")


@pytest.mark.slow
@pytest.mark.xdist_group("sweep")
def test_a_diverged_trial_harms_no_other_trial(swept: Swept, by_hand: str) -> None:
    choices = ["--name", "all", *SHORT, "-S", "train.seed=1", "-S", "train.learning_rate=0.5,0.2,1000"]
    sweep = swept.start(*choices, "--workers", "2")
    told, errors = sweep.communicate()
    assert (sweep.returncode, errors) == (1, "")
    assert "workers: 2 on this machine" in told
    assert len(trials(told, "FAILED: training diverged: .* Choose a smaller train.learning_rate.")) == 1
    sound = set(trials(told, "recorded"))
    assert swept.experiments() == sound
    assert len(sound) == 2
    assert by_hand in {swept.sha256(name) for name in sound}
    head = swept.clone.output("git", "rev-parse", "HEAD").strip()
    for name in sound:  # nothing of another pipeline
        ref = f"refs/exps/{head[:2]}/{head[2:]}/{name}"
        changed = swept.clone.output("git", "diff", "--name-only", "HEAD", ref).split()
        assert {path.partition("/")[0] for path in changed} == {"examples"}
    wait_for(lambda: not processes(swept.clone.folder))
    assert not swept.clone.changed()
    started = swept.started.read_text()
    assert [started.count(f"-m pipeline.{stage}") for stage in ("download", "convert")] == [1, 1]
    assert "by accuracy on the validation split" in told


@pytest.mark.slow
@pytest.mark.xdist_group("sweep")
def test_a_sweep_whose_driver_was_killed_leaves_no_process_and_goes_on(swept: Swept) -> None:
    choices = ["--name", "killed", *SHORT, "-S", "train.seed=range(1,3)", "--workers", "1"]
    sweep = swept.start(*choices)
    assert sweep.stdout
    wait_for(lambda: "recorded  " in sweep.stdout.readline())
    wait_for(lambda: swept.trials())
    sweep.kill()
    sweep.communicate()
    wait_for(lambda: not processes(swept.clone.folder))
    again = swept.start(*choices)
    told, errors = again.communicate()
    assert (again.returncode, errors) == (0, "")
    assert told.startswith("trials: 2, recorded before: 1\n")
    assert len(trials(told, "recorded")) == 1
    assert not [*(swept.clone.folder / ".dvc/tmp/sweep/killed").glob("[!.]*")]


@pytest.fixture
def cluster(swept: Swept) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a cluster with TLS that shares no folder with the clone, and its clients' settings."""
    from distributed import Security

    folder = swept.started.parent / "elsewhere"
    folder.mkdir()
    made = Security.temporary().get_tls_config_for_role("worker")
    told = {}
    for kind in "ca_file", "key", "cert":
        (folder / kind).write_text(made[kind])
        for role in [""] if kind == "ca_file" else ["SCHEDULER__", "WORKER__", "CLIENT__"]:
            told[f"DASK_DISTRIBUTED__COMM__TLS__{role}{kind.upper()}"] = str(folder / kind)
    (folder / "pipeline.py").write_text("raise ImportError('a worker needs no project')")
    nobody = dict.fromkeys(("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"), os.devnull)  # git there knows no user
    environment = os.environ | told | nobody | {"TMPDIR": str(folder), "PYTHONPATH": str(folder)}
    here, at = ["--protocol", "tls", "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"], folder / "at.json"
    roles = [["scheduler", *here, "--port", "0", "--scheduler-file"], ["worker", *here, "--scheduler-file"]]
    with contextlib.ExitStack() as stack:
        for role in roles:
            command = [sys.executable, "-m", "dask", *role, str(at)]
            process = stack.enter_context(
                subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.terminate)
            wait_for(at.exists)
        yield json.loads(at.read_text())["address"], told


@pytest.mark.slow
@pytest.mark.xdist_group("sweep")
def test_a_cluster_without_a_shared_folder_gives_the_same_bits_back_although_sweep_and_worker_are_killed(
    swept: Swept, cluster: tuple[str, dict[str, str]], by_hand: str
) -> None:
    address, told_to_clients = cluster
    choices = ["--name", "far", *SHORT, "-S", "train.seed=1", "--cluster", address]
    abandoned = swept.start(*choices, **told_to_clients)
    wait_for(swept.trials)
    abandoned.kill()
    abandoned.communicate()
    wait_for(lambda: not swept.trials())
    sweep = swept.start(*choices, **told_to_clients)
    victim = wait_for(swept.trials)[0]
    victim.parent().parent().kill()  # the Dask worker
    told, errors = sweep.communicate()
    assert (sweep.returncode, errors) == (0, "")
    (name,) = trials(told, "recorded")
    assert swept.sha256(name) == by_hand
    places = swept.started.parent / f"elsewhere/pipeline-sweep-{os.getuid()}"
    assert not [*places.iterdir()]
    assert "these results are reproduced" in swept.clone.output(
        "python", "-m", "pipeline", "verify", "--revision", name
    )


@pytest.mark.slow
@pytest.mark.xdist_group("sweep")
def test_a_cluster_of_this_machine_opens_no_port_to_others_and_no_page(dask: None, tmp_path: Path) -> None:
    import psutil

    def listening() -> set[tuple[str, int]]:
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        found = [one for process in family for one in process.net_connections() if one.status == "LISTEN"]
        return {(one.laddr.ip, one.laddr.port) for one in found}

    before = listening()
    with engine.connected("", 2, str(tmp_path)) as client:
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2
        ports = listening() - before
        assert ports
        assert {ip for ip, _ in ports} == {"127.0.0.1"}
        for ip, port in ports:
            assert requests.get(f"http://{ip}:{port}/status", timeout=5).status_code == 404
