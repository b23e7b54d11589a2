"""The map of the code is true: a stage declares to DVC all that it imports, and layers import only downwards."""

import ast
import functools
import logging
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pipeline"
STAGES = ("download", "convert", "train", "evaluate")
ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} | {"params", *STAGES}
PIPELINES = ("dvc.yaml", "examples/digits/dvc.yaml")


def source(module: str) -> Path | None:
    """The file of a module of the package, if it is one."""
    path = ROOT.joinpath(*module.split("."))
    candidates = [path.with_suffix(".py"), path / "__init__.py"]
    return next((file for file in candidates if file.is_file()), None)


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """Every module that a file imports, at its top or inside a function; packages on the way included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            found.update(".".join(parts[: i + 1]) for i in range(len(parts)))
    return frozenset(found)


def has_code(path: Path) -> bool:
    """Whether a file does anything: one that holds a docstring alone cannot change a result."""
    return len(ast.parse(path.read_text("utf-8")).body) > 1


def closure(path: Path) -> set[Path]:
    """A file and all files of the package that it imports, directly or not."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += [found for module in imported(file) if (found := source(module))]
    return {file for file in seen if has_code(file)}


def pipeline(name: str) -> dict:
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text("utf-8"))


def code_deps(name: str, stage: str) -> set[Path]:
    """The declared dependencies of a stage that are code."""
    deps = {(ROOT / name).parent.joinpath(dep).resolve() for dep in pipeline(name)["stages"][stage]["deps"]}
    return {dep for dep in deps if PACKAGE in dep.parents}


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_every_file_it_imports(name, stage):
    deps = code_deps(name, stage)
    missed = {file for file in closure(PACKAGE / f"{stage}.py") if not deps & {file, *file.parents}}
    assert not missed, f"{name}: stage {stage} would miss a change of {sorted(map(str, missed))}"


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_no_file_it_does_not_import(name, stage):
    used = closure(PACKAGE / f"{stage}.py")
    needless = {dep for dep in code_deps(name, stage) if not any(dep in {file, *file.parents} for file in used)}
    assert not needless


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_file_a_params_section_and_a_dvc_stage(stage):
    (command, params) = (pipeline("dvc.yaml")["stages"][stage][key] for key in ("cmd", "params"))
    assert command == f"python -m pipeline.{stage}"
    assert params == [stage]
    assert len((PACKAGE / f"{stage}.py").read_text().splitlines()) <= 60


def test_the_two_pipelines_differ_only_by_where_the_code_lies():
    mnist, digits = ((ROOT / name).read_text("utf-8") for name in PIPELINES)
    assert digits == mnist.replace("- pipeline/", "- ../../pipeline/")


LEFT_BEHIND = [
    ".DS_Store",
    "._x.py",
    "Thumbs.db",
    "desktop.ini",
    "x.py~",
    ".x.py.swp",
    ".#x.py",
    "#x.py#",
    "4913",
    "x.py.orig",
    "x.py.rej",
    "x.py.bak",
    ".idea/workspace.xml",
    ".vscode/x.json",
    ".ipynb_checkpoints/x-checkpoint.py",
    "__pycache__/x.cpython-311.pyc",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what DVC imports
def test_dvc_sees_the_files_that_run_and_none_that_editors_and_file_managers_leave(tmp_path, monkeypatch):
    from dvc.repo import Repo

    code = tmp_path / "pipeline"
    shutil.copytree(PACKAGE, code, ignore=shutil.ignore_patterns(*LEFT_BEHIND, "__pycache__"))
    tracked = [file for file in code.rglob("*") if file.is_file()]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("dvc"), "handlers", [])  # they write to the stdout of an earlier test
    with Repo.init(no_scm=True) as repo:
        shutil.copy(ROOT / ".dvcignore", tmp_path)
        repo.run(name="stage", cmd="true", deps=["pipeline"])
    for name in LEFT_BEHIND:
        file = code / "nn" / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    with Repo() as repo:
        assert repo.status() == {}
        assert not [file for file in tracked if repo.dvcignore.is_ignored_file(str(file))]
    (code / "nn/new.py").touch()
    with Repo() as repo:
        assert repo.status() != {}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what DVC imports
@pytest.mark.parametrize("name", PIPELINES)
def test_dvc_notices_a_change_of_any_description_and_of_no_picture(name, tmp_path, monkeypatch):
    from dvc.repo import Repo

    assert "datasets" in pipeline(name)["stages"]["download"]["deps"]
    project = tmp_path / Path(name).parent
    description, pictures = project / "datasets/shapes.json", project / "datasets/shapes/train.gz"
    pictures.parent.mkdir(parents=True)
    for path in (description, pictures):
        path.write_text("old")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("dvc"), "handlers", [])  # they write to the stdout of an earlier test
    with Repo.init(no_scm=True) as repo:
        shutil.copy(ROOT / ".dvcignore", tmp_path)
        repo.run(name="stage", cmd="true", deps=[str(project.relative_to(tmp_path) / "datasets")])
    pictures.write_text("new")
    with Repo() as repo:
        assert repo.status() == {}
    description.write_text("new")
    with Repo() as repo:
        assert repo.status() != {}


def package_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_nobody_imports_a_stage():
    stages = {f"pipeline.{stage}" for stage in STAGES}
    assert not [file for file in package_files() if stages & imported(file)]


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("base", ROOMS - {"base"}),
        ("datasets", ROOMS - {"base", "datasets"}),
        ("digit", ROOMS - {"base", "digit"}),
        ("report", ROOMS - {"base", "report"}),
        ("nn", ROOMS - {"base", "nn"}),
        ("fast", ROOMS - {"base", "nn", "fast", "training"}),
        ("training", ROOMS - {"base", "nn", "fast", "params", "training"}),
        ("cluster", ROOMS - {"base", "cluster", "params", "report", "training"}),
    ],
)
def test_rooms_import_downwards_only(folder, forbidden):
    for file in (PACKAGE / folder).rglob("*.py"):
        assert not {f"pipeline.{name}" for name in forbidden} & imported(file), file


@pytest.mark.parametrize(
    ("library", "files"),
    [
        ("distributed", ["cluster/engine.py", "cluster/worker.py"]),
        ("matplotlib", ["report/plots.py"]),
        ("requests", ["datasets/transport.py"]),
        ("ruamel", ["params.py"]),
        ("pydantic", ["base/schema.py", "params.py", "training/settings.py"]),
    ],
)
def test_a_heavy_library_is_imported_where_it_is_needed_and_nowhere_else(library, files):
    assert [file.relative_to(PACKAGE).as_posix() for file in package_files() if library in imported(file)] == files


def test_nothing_pickles_or_evaluates():
    for file in package_files():
        assert not {"pickle", "marshal", "shelve", "joblib"} & imported(file)
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not {"eval", "exec", "compile", "__import__"} & calls


def test_importing_a_module_does_nothing():
    """The top level of a module holds definitions, constants and the main guard, no loops and no calls for effect."""
    for file in package_files():
        for node in ast.parse(file.read_text("utf-8")).body:
            assert not isinstance(node, ast.For | ast.While | ast.With | ast.Try), f"{file}:{node.lineno}"
            targets = getattr(node, "targets", [])
            elsewhere = [target for target in targets if isinstance(target, ast.Subscript | ast.Attribute)]
            assert not elsewhere, f"{file}:{node.lineno}"
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert docstring or not isinstance(node, ast.Expr), f"{file}:{node.lineno}"
