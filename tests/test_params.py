"""params.yaml is checked in full before any work, and every mistake gets one line that says what to do."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.datasets.registry import DATASETS
from pipeline.params import Params, load_params, parse

ROOT = Path(__file__).parents[1]
GOOD = (ROOT / "params.yaml").read_text("utf-8")


def refusal(tmp_path: Path, text: str | bytes, *overrides: str) -> str:
    """The one line with which a params.yaml is refused."""
    path = tmp_path / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PipelineError) as caught:
        load_params(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(path), "params.yaml")


@pytest.mark.parametrize("folder", [".", "examples/digits"])
def test_the_committed_files_fit_the_schema(folder):
    assert load_params(ROOT / folder / "params.yaml")


def test_the_committed_json_schema_is_the_one_the_code_makes():
    assert json.loads((ROOT / "params.schema.json").read_text()) == Params.model_json_schema()


def test_the_schema_and_the_registry_know_the_same_data_sets():
    schema = Params.model_json_schema()["$defs"]["Download"]["properties"]["dataset"]
    assert schema["enum"] == list(DATASETS)


def test_P1_an_unknown_key_is_refused_with_the_nearest_name(tmp_path):
    message = refusal(tmp_path, GOOD.replace("activation:", "activaton:"))
    assert message.startswith("params.yaml: train.activaton is unknown; did you mean activation? (1 more")


def test_P1_an_unknown_override_is_refused_with_the_nearest_name(tmp_path):
    assert refusal(tmp_path, GOOD, "train.lr=1").startswith("-S train.lr=1: train.lr is unknown; known are ")
    assert refusal(tmp_path, GOOD, "tran.seed=1") == "params.yaml: tran is unknown; did you mean train?"


def test_an_override_for_another_stage_is_refused_rather_than_ignored():
    with pytest.raises(PipelineError, match=r"train reads section train alone; it is python -m pipeline\.convert that"):
        load_params(ROOT / "params.yaml", ["convert.layout=image"], "train")


def test_P2_a_missing_key_is_named(tmp_path):
    text = "".join(line for line in GOOD.splitlines(True) if not line.startswith("  hidden:"))
    assert refusal(tmp_path, text) == "params.yaml: train.hidden is missing; add it."


def test_P2_a_missing_section_is_named(tmp_path):
    assert "evaluate is missing" in refusal(tmp_path, GOOD[: GOOD.index("evaluate:")])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.batch_size=true", "True; it must be a valid integer"),
        ("train.batch_size=100.0", "100.0; it must be a valid integer"),
        ("train.learning_rate='0.1'", "'0.1'; it must be a valid number"),
        ("convert.one_hot=1", "1; it must be a valid boolean"),
        ("convert.one_hot=NO", "'NO'; it must be a valid boolean"),
        ("download.dataset=[mnist]", "['mnist']; choose mnist"),
    ],
)
def test_P3_a_wrong_type_is_refused_not_converted(tmp_path, override, said):
    assert said in refusal(tmp_path, GOOD, override)


def test_P3_a_whole_number_will_do_for_a_fraction():
    assert load_params(ROOT / "params.yaml", ["train.learning_rate=1"]).train.learning_rate == 1.0


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e400"])
def test_P4_what_is_not_finite_is_refused(tmp_path, value):
    assert "must be a finite number" in refusal(tmp_path, GOOD, f"train.learning_rate={value}")


@pytest.mark.parametrize("value", ["-0.0", "0", "-1"])
def test_P4_a_learning_rate_must_be_above_zero(tmp_path, value):
    assert "must be greater than 0" in refusal(tmp_path, GOOD, f"train.learning_rate={value}")


def test_P4_zero_has_no_sign(tmp_path):
    assert refusal(tmp_path, GOOD, "train.momentum=-0.0").endswith(
        "train.momentum: -0.0 is not told from 0.0; write that."
    )


@pytest.mark.parametrize(
    ("key", "inside", "outside"),
    [
        ("train.hidden", 1, 0),
        ("train.hidden", 100_000, 100_001),
        ("train.momentum", 0, 1),
        ("train.learning_rate", 1000, 1000.5),
        ("train.batch_size", 1, 0),
        ("train.length", 1, 0),
        ("train.seed", 0, -1),
        ("train.seed", 2**63 - 1, 2**63),
        ("train.std", 100, 100.5),
        ("convert.validation", 0, -1),
        ("evaluate.batch_size", 1, 0),
        ("evaluate.mistakes", 100, 101),
    ],
)
def test_P5_T8_each_range_ends_where_it_says(tmp_path, key, inside, outside):
    assert load_params(ROOT / "params.yaml", [f"{key}={inside}"])
    assert f"{key} is {outside}; it must be" in refusal(tmp_path, GOOD, f"{key}={outside}")


def ranges():
    """Every number of the schema with its ends: (key, type, least taken or None, greatest taken or None)."""
    for section in Params.model_json_schema()["$defs"].items():
        for key, about in section[1]["properties"].items():
            if about.get("type") in ("integer", "number"):
                yield f"{section[0].lower()}.{key}", about


@pytest.mark.parametrize(("key", "about"), list(ranges()), ids=lambda part: part if isinstance(part, str) else "")
def test_T8_at_just_inside_and_just_outside_each_end_of_each_range(tmp_path, key, about):
    """From the schema itself, so that a new parameter is tried too; those without an upper end are taken at 2**40."""
    tick = 1 if about["type"] == "integer" else 1e-9
    taken, refused = [], []
    for end, inwards in (("inimum", tick), ("aximum", -tick)):
        if (last := about.get(f"m{end}")) is not None:
            taken, refused = [*taken, last, last + inwards], [*refused, last - inwards]
        elif (first := about.get(f"exclusiveM{end}")) is not None:
            taken, refused = [*taken, first + inwards], [*refused, first, first - inwards]
        elif end == "aximum":
            taken.append(2**40)
    assert refused
    for value in taken:
        load_params(ROOT / "params.yaml", [f"{key}={value}"])
    for value in refused:
        assert f"{key} is {value!r}; it must be" in refusal(tmp_path, GOOD, f"{key}={value!r}")


def test_P5_parameters_that_contradict_each_other_are_refused(tmp_path):
    assert "needs arithmetic float64" in refusal(tmp_path, GOOD, "train.gradient=numerical")
    assert "make it true" in refusal(tmp_path, GOOD, "convert.features=edges", "convert.normalize=false")


def test_P6_a_duplicate_key_is_refused(tmp_path):
    assert "duplicate key" in refusal(tmp_path, GOOD.replace("  hidden: 50", "  hidden: 50\n  hidden: 51"))


def test_P7_an_alias_bomb_is_refused_at_once(tmp_path):
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    assert "aliases (*name) are not allowed" in refusal(tmp_path, bomb)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: \x00", "not valid YAML"),
        (b"\ttrain: 1", "not valid YAML"),
        (b"x" * 100_000, "over 16384 bytes"),
        (b"- a\n- b\n", "holds list, not sections"),
        (b"", "holds NoneType, not sections"),
        (b"a: [", "not valid YAML: line"),
        (b"a: " + b"[" * 16_000, "nested more than 10 deep"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "nested more than 10 deep"),
        (b"? " * 8000, "nested more than 10 deep"),
        (b"a: " + b"9" * 5000, "Exceeds the limit"),
        (b"%YAML " + b"9" * 5000 + b".1\n---\na: 1", "Exceeds the limit"),
        (b"a: 2001-13-45", "month must be in 1..12"),
        (b"a: 2024-01-01T99:99:99Z", "hour must be in 0..23"),
    ],
)
def test_P8_what_is_not_a_small_yaml_text_is_refused(tmp_path, content, said):
    assert said in refusal(tmp_path, content)


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_P8_a_byte_order_mark_and_windows_line_ends_are_harmless(tmp_path, change):
    path = tmp_path / "params.yaml"
    path.write_bytes(change(GOOD).encode())
    assert load_params(path) == load_params(ROOT / "params.yaml")


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("NO", "NO"), ("017", 17), ("1:30", "1:30"), ("0o17", 15), ("yes", "yes")]
)
def test_P9_yaml_is_read_as_dvc_reads_it(text, value):
    assert parse(text) == value
    assert type(parse(text)) is type(value)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system [id]", "!!int abc", '!!int "7"', "!!bool maybe", "! 3"]
)
def test_P10_tags_are_refused(tmp_path, text):
    assert "are not allowed" in refusal(tmp_path, f"train: {text}")
    assert "are not allowed" in refusal(tmp_path, GOOD, f"train.seed={text}")


def test_P11_a_missing_file_says_how_to_name_one(tmp_path):
    with pytest.raises(PipelineError, match="does not exist here; run from the project's folder or name it: --params"):
        load_params(tmp_path / "params.yaml")


def test_P11_a_folder_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="cannot be read: Is a directory"):
        load_params(tmp_path)


def test_P11_a_link_is_followed(tmp_path):
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    assert load_params(tmp_path / "params.yaml") == load_params(ROOT / "params.yaml")


def test_P11_a_file_that_may_not_be_read_is_refused(unprivileged):
    path = unprivileged / "params.yaml"
    path.touch(mode=0)
    with pytest.raises(PipelineError, match=r"params.yaml cannot be read: Permission denied"):
        load_params(path)


@pytest.mark.parametrize("override", ["train.seed", "seed=1", "=1", "train.=1", ""])
def test_an_override_that_is_no_assignment_is_refused(tmp_path, override):
    assert "expected SECTION.KEY=VALUE" in refusal(tmp_path, GOOD, override)


@pytest.mark.parametrize("override", ["train.seed.x=3", "train.seed.x.y=3", "download.dataset.a.b=3"])
def test_an_override_of_something_in_a_value_is_refused_rather_than_ignored(tmp_path, override):
    assert refusal(tmp_path, GOOD, override).startswith(f"-S {override}: ")
    assert "holds a value" in refusal(tmp_path, GOOD, override)


def test_an_override_wins_over_the_file_and_the_last_one_over_the_first():
    params = load_params(ROOT / "params.yaml", ["train.hidden=7", "train.hidden=9", "train.activation=relu"])
    assert (params.train.hidden, params.train.activation) == (9, "relu")


ODD = ["? ", "&a", "*a", "!!int", "2001-13-45", "9" * 5000, "1e999", ".nan", "<<", "%YAML 1.1\n---\n", "0x1p3"]
scraps = st.sampled_from([*"[]{},:-'\"|>~#!? \n\t\x00\u2028", "a", "train", ": ", "  ", "- ", *ODD])


@given(st.binary(max_size=200) | st.lists(scraps, max_size=40).map(lambda found: "".join(found).encode()))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(PipelineError) as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60) | st.lists(scraps, max_size=20).map(lambda found: f"train.seed={''.join(found)}"))
def test_any_override_is_taken_or_refused_in_one_line(override):
    try:
        load_params(ROOT / "params.yaml", [override])
    except PipelineError as error:
        message = str(error)
    else:
        message = ""
    assert len(message) < 1000 + 2 * len(override)
