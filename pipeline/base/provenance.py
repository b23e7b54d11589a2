"""Where a model comes from: hashes that are the same everywhere, and a record of what differs between machines."""

import contextlib
import hashlib
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from pipeline.base.errors import PipelineError
from pipeline.base.paths import same

PACKAGE = Path(__file__).parents[1]
SOURCES = {".py", ".css", ".html", ".js"}
Settings = TypeVar("Settings")


def digest(content: bytes | bytearray) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Enter this to read a file more than once. Raises PipelineError where another file took its place meanwhile."""
    before = _identity(path)
    yield
    if _identity(path) != before:
        raise PipelineError(f"{path} changed while it was read; run it again.")


@contextlib.contextmanager
def hashed(path: Path) -> Iterator[Callable[[], str]]:
    """The same, and a function that gives the file's SHA-256: a thread computes it meanwhile."""
    with unchanged(path), ThreadPoolExecutor(1) as thread:
        yield thread.submit(sha256, path).result


def _identity(path: Path) -> tuple[int, ...] | None:
    with contextlib.suppress(FileNotFoundError):
        return _written(path.stat())
    return None


def _written(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns  # some network file systems invent an inode number at every call


class Basis:
    """The things that make the outputs of a stage: its code, its section of the parameters, its inputs.

    DVC hashes these after the stage has ended (treeverse/dvc#11058). An edit while the stage runs would be recorded,
    although it did not make the outputs, so it is an error. A run by hand records nothing and is not checked.
    """

    def __init__(self, *inputs: Path) -> None:
        """Create it before the code is imported and the inputs are read."""
        self.inputs, self.recorded = inputs, "DVC_STAGE" in os.environ
        self.files = {path: os.open(path, os.O_RDONLY) for path in inputs if path.is_file()}
        self.written = {path: _written(os.stat(file)) for path, file in self.files.items()}
        if self.recorded:
            _require_code_beside(Path.cwd())
            self.code, self.identities = _code(), [_identity(path) for path in inputs]

    def read(self, load: Callable[[], Settings]) -> Settings:
        """The section of the parameters."""
        self.load, self.settings = load, load()
        return self.settings

    @contextlib.contextmanager
    def unaltered(self) -> Iterator[None]:
        """Enter this once, to write outputs. Raises PipelineError, before or after, where something has changed."""
        self._require()
        yield
        self._require()
        for file in self.files.values():  # not in a finalizer: there Python ignores a signal and a full disk
            os.close(file)

    def _require(self) -> None:
        """Raise PipelineError where something has changed; a mapped input may be replaced, but not written to."""
        for path, file in self.files.items():
            if _written(os.stat(file)) != self.written[path]:
                raise PipelineError(f"{path} was written to while the stage read it; run it again.")
        if altered := next(self._altered(), None):
            raise PipelineError(
                f"{altered} changed while the stage ran, so dvc.lock would record the wrong version; "
                "nothing is recorded, run dvc repro again."
            )

    def _altered(self) -> Iterator[str]:
        if self.recorded:
            now = _code()
            yield from (str(file) for file in self.code if now.get(file) != self.code[file] and _in_use(file))
            yield from (str(p) for p, was in zip(self.inputs, self.identities, strict=True) if _identity(p) != was)
            if self.load() != self.settings:
                yield f"section {type(self.settings).__name__.lower()} of the parameters"


def _require_code_beside(folder: Path) -> None:
    """In a clone, dvc.yaml names the code beside it. Raise PipelineError if other code is running."""
    packages = (above / "pipeline" for above in (folder, *folder.parents))
    beside = next((package for package in packages if (package / "base/provenance.py").exists()), PACKAGE)
    if not same(beside, PACKAGE):
        raise PipelineError(
            f"dvc.lock would record the code in {beside}, but the code in {PACKAGE} is running; "
            f"unset PYTHONSAFEPATH, or run: pip install -e {shlex.quote(str(beside.parent))}"
        )


def _code() -> dict[Path, str]:
    return {file: sha256(file) for file in _sources(PACKAGE)}


def _sources(folder: Path) -> list[Path]:
    """The files of code, by name, without hidden files of editors, such as .#x.py and .ipynb_checkpoints/x.py."""
    visible = (file for file in folder.rglob("*") if "/." not in f"/{file.relative_to(folder).as_posix()}")
    return sorted(file for file in visible if file.suffix in SOURCES and file.is_file())


def _in_use(file: Path) -> bool:
    """Whether a file of the package is imported, or belongs to an imported module, as a style sheet does."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in ("__main__", "pipeline")]
    imported = {Path(source) for module in modules if (source := getattr(module, "__file__", None))}
    return file in imported or (file.suffix != ".py" and file.parent in {path.parent for path in imported})


def code_hash(parts: Iterable[str]) -> str:
    """SHA-256 of the source text of these files or folders of the package, by name, line ends as in git."""
    total = hashlib.sha256()
    for part in parts:
        path = PACKAGE / part
        for source in _sources(path) if path.is_dir() else [path]:
            text = source.read_bytes().replace(b"\r\n", b"\n")
            total.update(f"{source.relative_to(PACKAGE).as_posix()} {len(text)}\n".encode() + text)
    return total.hexdigest()


def machine() -> dict[str, Any]:
    """All that differs from machine to machine; it belongs in a run record, never in an output."""
    import numpy as np
    from threadpoolctl import threadpool_info

    blas = [
        {key: pool.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
        for pool in threadpool_info()
        if pool.get("user_api") == "blas"
    ]
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "blas": blas,
    }
