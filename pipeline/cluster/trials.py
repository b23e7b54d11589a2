"""The trials of a sweep: their settings, checked against the schema, and names that follow from the settings."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.base.errors import PipelineError
from pipeline.params import PARAMS_FILE, SECTIONS, Convert, Download, Evaluate, Section, load_params
from pipeline.report.made import flow

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")


class Trial(NamedTuple):
    """One choice of parameters."""

    name: str
    settings: dict[str, str]  # by section.key, as params.yaml and -S write them
    params: dict[str, dict[str, Any]]  # all parameters, by section


def expand(name: str, sets: Sequence[str], project: str, params: Path = PARAMS_FILE) -> list[Trial]:
    """Every combination of the choices in `sets`, as `dvc exp run --queue -S` would expand them.

    project: the folder of dvc.yaml in the repository.
    Raises PipelineError where a name, a choice or a value is not valid.
    """
    from dvc.exceptions import InvalidArgumentError
    from dvc.utils.hydra import get_hydra_sweeps
    from hydra.errors import HydraException

    if not NAME.fullmatch(name):
        raise PipelineError(f"--name is {name!r}; use up to 60 letters, digits, - and _.")
    if not sets:
        raise PipelineError("nothing is swept; name choices, such as -S 'train.seed=range(1,4)'.")
    try:
        found = get_hydra_sweeps({str(params): list(sets)})
    except (InvalidArgumentError, HydraException, ValueError) as error:
        raise PipelineError(f"-S {' '.join(sets)}: {error}; write choices as a=1,2 or a=range(1,4).") from None
    trials = [trial(name, one[str(params)], project, params) for one in found]
    return list({one.name: one for one in trials}.values())


def trial(sweep: str, overrides: Sequence[str], project: str, params: Path) -> Trial:
    """One trial, named after the sweep and a hash of its settings. Raises PipelineError where a value does not fit."""
    from dvc.utils.hydra import to_hydra_overrides

    from pipeline.training.settings import Train

    found = {one.key_or_group: flow(one.value()) for one in to_hydra_overrides(list(overrides))}
    by_section: dict[str, list[str]] = {section: [] for section in SECTIONS}
    for key, value in found.items():
        if key.partition(".")[0] not in SECTIONS:
            raise PipelineError(f"-S {key}={value}: expected one of {', '.join(SECTIONS)}, a dot and a key.")
        by_section[key.partition(".")[0]].append(f"{key}={value}")
    schemas: list[type[Section]] = [Download, Convert, Train, Evaluate]
    checked = {
        section: load_params(params, by_section[section], schema).model_dump()
        for section, schema in zip(SECTIONS, schemas, strict=True)
    }
    settings = {key: flow(checked[section][name]) for key in found for section, _, name in [key.partition(".")]}
    identity = "\n".join([project, *sorted(f"{key}={value}" for key, value in settings.items())])
    return Trial(f"{sweep}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}", settings, checked)
