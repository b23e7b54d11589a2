"""All commands stand behind one name; help is quick, teaches by an example, and states the version."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.__main__ import COMMANDS, GROUPS, STAGES, main
from pipeline.commands.schema import json_schema

ROOT = Path(__file__).parents[1]


@pytest.fixture
def pipeline(monkeypatch, capsys):
    """What the command prints."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["pipeline", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code
        return capsys.readouterr().out

    return run


def test_every_module_that_is_a_command_is_named():
    assert {path.stem for path in (ROOT / "pipeline/commands").glob("[!_]*.py")} == {*COMMANDS}


def test_the_version_is_that_of_the_project(pipeline):
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert pipeline("--version") == f"pipeline {version}\n"


def test_help_lists_every_command(pipeline):
    shown = pipeline("--help")
    assert all(f"│ {name.replace('_', '-')} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", [*STAGES, *COMMANDS])
def test_help_of_a_command_teaches_by_an_example(name, pipeline):
    typed = name.replace("_", "-")
    shown = " ".join(pipeline(typed, "--help").split())
    assert "Example:" in shown
    assert re.search(rf"python -m pipeline.{name} -S '?{name}\." if name in STAGES else f"pipeline {typed} ", shown)


@pytest.mark.parametrize("name", [*STAGES, *COMMANDS])
def test_help_of_a_command_says_what_its_docstring_says(name, pipeline):
    r"""Rich takes [words] as markup and leaves them out. A docstring has to say \[words]."""
    module = import_module(f"pipeline.{name}" if name in STAGES else f"pipeline.commands.{name}")
    said = module.main.__doc__.replace("\\[", "[")
    assert " ".join(said.split()) in " ".join(pipeline(name.replace("_", "-"), "--help").split())


@pytest.mark.parametrize("name", STAGES)
def test_help_of_a_stage_lists_every_parameter_with_its_values(name, pipeline):
    shown = " ".join(pipeline(name, "--help").split())
    for key, rule in json_schema()["properties"][name]["properties"].items():
        values = [option for one in rule.get("anyOf", [rule]) for option in one.get("enum", ())]
        assert f"{name}.{key} ({', '.join(map(str, values))}" in shown if values else f"{name}.{key}" in shown
        assert rule["description"] in shown
    if name == "train":
        assert "train.learning_rate (above 0, up to 1000): size of a step" in shown
        assert "conv FILTERS KERNEL [PADDING] [STRIDE] (filters 1 to 10000, kernel 1 to 1000," in shown
        assert "dropout SHARE (share 0 to 0.99)" in shown


@pytest.mark.parametrize("name", ["--help", *STAGES, *COMMANDS])
def test_help_shows_no_type_of_a_flag_or_an_argument(name, pipeline):
    assert not re.search("<bool>|<list", pipeline(*dict.fromkeys([name.replace("_", "-"), "--help"])))


def test_help_groups_the_commands_and_tells_the_stages_in_order(pipeline):
    shown = pipeline("--help")
    places = [shown.index(f"│ {name.replace('_', '-')} ") for name in (*STAGES, *COMMANDS)]
    assert places == sorted(places)
    assert all(f"─ {title} ─" in shown for title in GROUPS)


def test_help_and_a_refusal_wait_for_no_large_library():
    code = """
import contextlib, sys
from pipeline import __main__, convert
sys.argv = ["pipeline", "--help"]
for command in __main__.main, lambda: convert.main(overrides=["convert.layout=none"]):
    with contextlib.suppress(SystemExit):
        command()
print({"numpy", "matplotlib", "requests", "dvc", "PIL"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
