"""Stage 1: the four files of a data set, fetched from a mirror and checked bit for bit."""

import os
from pathlib import Path

import typer

from pipeline.base.errors import reports_errors
from pipeline.base.provenance import Basis
from pipeline.base.usage import run
from pipeline.params import PARAMS_FILE, Download, Overrides, ParamsFile, load_params


@reports_errors
def main(params: ParamsFile = PARAMS_FILE, overrides: Overrides = None) -> None:
    """Fetch the four files of a data set into data/raw, unless they are there already.

    A file is only accepted if its checksum is the published one.
    The environment variable PIPELINE_MIRRORS names more places to look in first: URLs of folders, separated by spaces.
    A URL begins with http:, https: or file:. Write the folder of a file: URL as it is, with its spaces, #, ? and %.

    Example: PIPELINE_MIRRORS="file:///mnt/my files/" python -m pipeline.download -S download.dataset=mnist
    """
    basis = Basis(*sorted(Path("datasets").rglob("*.json")))
    settings = basis.read(lambda: load_params(params, overrides, Download))
    from pipeline.base.files import write_json
    from pipeline.datasets.description import find
    from pipeline.datasets.fetch import fetch_all, found  # takes longer to import than --help should
    from pipeline.datasets.transport import split_urls

    raw, dataset = Path("data/raw"), find(settings.dataset, basis.recorded)
    (raw / "dataset.json").unlink(missing_ok=True)  # until all four files are there, nothing describes them
    mirrors = [*split_urls(os.environ.get("PIPELINE_MIRRORS", "")), *dataset.mirrors]
    sources = fetch_all(dataset, raw, mirrors)
    files = {role: found(raw / file.name) for role, file in dataset.files.items()}
    about = {key: value for key, value in dataset._asdict().items() if key not in ("mirrors", "archive")}
    with basis.unaltered():
        write_json(raw / "dataset.json", about | {"name": settings.dataset, "files": files})
    for file_name, source in sources.items():  # last: if nobody reads stdout, the work is already done
        typer.echo(f"{file_name:<27} {source}")


if __name__ == "__main__":
    run(main, "download")
