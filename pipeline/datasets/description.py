"""A data set that a file describes: the pipeline runs on it without a change to the code."""

import re
from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.paths import opened
from pipeline.base.schema import Description, read_json
from pipeline.datasets.registry import DATASETS, NAMES, DataSet, File

WATCHED = Path("datasets")  # the folder whose files DVC hashes: dvc.yaml, stage download
ADVICE = "correct it, or make it by pipeline import-folder"


def find(name: str, recorded: bool = False) -> DataSet:
    """The data set of the registry, or the one that the file `name` describes.

    recorded: DVC runs the stage. Raises PipelineError where there is no such file, it does not fit, or DVC would not
    notice a change of it.
    """
    if name in DATASETS:
        return DATASETS[name]
    path = Path(name)
    if recorded and not path.resolve().is_relative_to(WATCHED.resolve()):
        raise PipelineError(
            f"download.dataset is {name}, and DVC notices changes in {WATCHED}/ alone; move the file there."
        )
    with opened(path, "name a file that describes a data set, as pipeline import-folder writes it") as file:
        about = read_json(file.read(), path, Description, ADVICE)
    files = {
        role: File(name, one["bytes"], one["sha256"], path=one["name"])
        for role, name in NAMES.items()
        for one in [about["files"][role]]
    }
    return DataSet(
        title=about["title"],
        homepage=about["homepage"],
        licence=about["licence"],
        image_shape=tuple(about["image_shape"]),
        class_names=tuple(about["class_names"]),
        mirrors=tuple(url(mirror, path.parent) for mirror in about["mirrors"]),
        files=files,
        framed=about["framed"],
        transposed=about.get("transposed", False),
    )


def url(mirror: str, folder: Path) -> str:
    """A mirror as a URL: one without http:, https: or file: is a folder, relative to `folder`."""
    return mirror if re.match("[A-Za-z]{2,}:", mirror) else f"{(folder / mirror).resolve().as_uri()}/"
