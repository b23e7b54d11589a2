"""params.yaml is checked in full before any work, and every mistake gives one line that says what to do."""

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.base.words import Choice, alternatives, span
from pipeline.commands.schema import json_schema
from pipeline.datasets.registry import DATASETS
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.params import SECTIONS, Convert, Download, Evaluate, Section, apply, load_params, parse
from pipeline.training import settings
from pipeline.training.settings import Train, Words

ROOT = Path(__file__).parents[1]
PARAMS = [ROOT / "params.yaml", ROOT / "examples/digits/params.yaml"]
GOOD = PARAMS[0].read_text("utf-8")
STAGES = dict(zip(SECTIONS, (Download, Convert, Train, Evaluate), strict=True))
SCHEMA = json_schema()


def load(*overrides: str, path: Path = PARAMS[0]) -> Section:
    """The section of the first override, or train."""
    return load_params(path, overrides, STAGES.get("".join(overrides).partition(".")[0], Train))


def refusal(tmp_path: Path, text: str | bytes, *overrides: str) -> str:
    """The one line with which a params.yaml is refused."""
    path = tmp_path / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PipelineError) as caught:
        load(*overrides, path=path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(path), "params.yaml")


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("section", STAGES.values())
def test_the_committed_files_fit_the_schema(path, section):
    assert load_params(path, (), section)


def test_the_committed_json_schema_is_the_one_that_pipeline_schema_prints():
    assert json.loads((ROOT / "params.schema.json").read_text()) == SCHEMA


def fits(value: object, schema: dict) -> bool:
    """Whether a JSON Schema takes a value: only the part of JSON Schema that our schema needs."""
    if "anyOf" in schema and not any(fits(value, {"type": schema["type"], **one}) for one in schema["anyOf"]):
        return False
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    if not isinstance(value, types[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return False
    match value:
        case dict():
            known = schema["properties"]
            found = asked(schema, value)
            in_place = {*schema["required"]} <= {*value} <= {*known}
            return in_place and all(
                fits(each, known[key]) and each == found.get(key, each) for key, each in value.items()
            )
        case list():
            in_number = schema["minItems"] <= len(value) if "minItems" in schema else True
            sound = in_number and all(contains(value, rule) for rule in (schema, *schema.get("allOf", ())))
            return sound and len(value) <= schema["maxItems"] and all(fits(each, schema["items"]) for each in value)
        case str():
            return value in schema.get("enum", [value]) and bool(re.search(schema.get("pattern", ""), value))
        case _:
            least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
            above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
            return least <= value <= most and above < value < below


def asked(schema: dict, value: dict) -> dict:
    """The values that if and else ask for, by key: the only form of conditions in our schema."""
    if "if" not in schema:
        return {}
    ((key, usual),) = schema["if"]["properties"].items()
    rules = {} if value.get(key) == usual["const"] else schema["else"]["properties"]
    return {key: rule["const"] for key, rule in rules.items()}


def contains(value: list, rule: dict) -> bool:
    """Whether as many parts of a list as a rule asks for are or match what it says."""
    if "contains" not in rule:
        return True
    wanted, texts = rule["contains"], [each for each in value if isinstance(each, str)]
    count = sum(each == wanted.get("const", each) and bool(re.match(wanted.get("pattern", ""), each)) for each in texts)
    return rule.get("minContains", 1) <= count <= rule["maxContains"]


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.parent.name)
def test_an_editor_takes_the_committed_files(path):
    assert fits(parse(path.read_text("utf-8")), SCHEMA)


LENET = "[conv 6 5 2, tanh, mean_pool 2, conv 16 5, tanh, mean_pool 2, affine 120, tanh, affine 84, tanh, affine]"


@pytest.mark.parametrize(
    ("override", "right"),
    [
        (f"train.layers={LENET}", True),
        ("train.layers=[affine]", True),
        ("train.layers=[affine 50, sigmod, affine]", False),
        ("train.layers=[conv 6, affine]", False),
        ("train.layers=[conv 6 5.0, affine]", False),
        ("train.layers=[affine: 50, affine]", False),
        ("train.layers=[]", False),
        ("train.layers=affine", False),
        ("train.initializer=normal 1e-2", True),
        ("train.initializer=normal", False),
        ("train.initializer=0.01", False),
        ("train.loss=cross_entropy 0.1", True),
        ("train.loss=hinge 0.1", False),
        ("train.optimizer=momentum 0.9", True),
        ("train.optimizer=momentum .9", False),
        ("train.schedule=step 10 0.5", True),
        ("train.average=ema 0.999", True),
        ("train.augment=[shift 1]", True),
        ("train.augment=[shift 0.5, affine 10 0.1 0.1, elastic 0.9 5]", True),
        ("train.augment=[affine 10 0.1]", False),
        ("train.augment=[swirl 1]", False),
        ("train.augment=shift 1", False),
        ("train.length=10 epochs", True),
        ("train.length=1000000000 iterations", True),
        ("train.length=1000000001 iterations", False),
        ("train.length=0 epochs", False),
        ("train.length=10000", False),
        ("train.length=10 epoch", False),
        ("train.hidden=50", False),
        ("train.weight_decay=1", False),
        ("train.layers=[affine 50, sigmoid]", False),
        ("train.layers=[affine, sigmoid, affine]", False),
        ("train.augment=[shift 1, shift 2]", False),
        ("train.augment=[shift 1, elastic 0.9 5]", True),
        ("train.gradient=complex_step", False),
        ("train.gradient=complex_step & train.arithmetic=float64", True),
        ("convert.normalize=false", True),
        ("convert.features=edges", True),
        ("convert.features=edges & convert.normalize=false", False),
        ("download.dataset=emnist-balanced", True),
        ("download.dataset=datasets/shapes.json", True),
        ("download.dataset=cifar", False),
        ("download.dataset=datasets/.json/", False),
    ],
)
def test_an_editor_and_the_stage_judge_alike(override, right):
    overrides = override.split(" & ")
    tree = parse(GOOD)
    for one in overrides:
        apply(tree, one)
    assert fits(tree, SCHEMA) is right
    try:
        load(*overrides)
    except PipelineError:
        assert not right
    else:
        assert right


def test_the_schema_and_the_registry_know_the_same_data_sets():
    assert SCHEMA["properties"]["download"]["properties"]["dataset"]["anyOf"][0]["enum"] == list(DATASETS)


def test_the_schema_and_the_nets_know_the_same_arithmetics():
    assert SCHEMA["properties"]["train"]["properties"]["arithmetic"]["enum"] == list(ARITHMETICS)


def words(key: str) -> dict[str, Choice]:
    """The words that a key of section train may be."""
    found = [one.choices for one in Train.model_fields[key].metadata if isinstance(one, Words)]
    return found[0] if found else {}


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("key", ["layers", *filter(words, Train.model_fields)])
def test_the_comment_beside_a_key_names_its_words_and_the_ranges_of_their_numbers(path, key):
    (comment,) = re.findall(rf"((?:^  #.*\n)*)^  {key}:.*?(#.*|)\n", path.read_text("utf-8"), re.MULTILINE)
    for one in re.split(", | or ", alternatives(words(key) or settings.LAYERS)):
        assert one in "".join(comment)
    told = "".join(comment).replace(",", "").replace("up to", "to")
    for number in (number for choice in (words(key) or settings.LAYERS).values() for number in choice.numbers):
        assert span(number) in told


def test_P1_an_unknown_key_is_refused_with_the_nearest_name(tmp_path):
    message = refusal(tmp_path, GOOD.replace("optimizer:", "optimiser:"))
    assert message.startswith("params.yaml: train.optimiser is unknown; did you mean optimizer? (1 more")
    for text in ("train: {1: 2}", "train: {2001-01-01: 2}", "train: {[1]: 2}"):
        assert " is unknown; known are layers, " in refusal(tmp_path, text)


def test_P1_a_key_of_an_earlier_version_is_refused_with_what_says_the_same_now(tmp_path):
    old = ["model", "hidden", "activation", "filters", "kernel", "pool", "std", "step", "momentum", "unit"]
    for key in old:
        message = refusal(tmp_path, GOOD, f"train.{key}=1")
        assert message.startswith(f"-S train.{key}=1: train.{key} is gone: write it in train.")
        now, examples = re.search(r"write it in train\.(\w+), as in (.*)\.$", message).groups()
        for example in examples.split(" or "):
            load(f"train.{now}={example}", "train.arithmetic=float64")
    assert not {*old} & {*Train.model_fields}


def test_P1_an_unknown_override_is_refused_with_the_nearest_name(tmp_path):
    assert refusal(tmp_path, GOOD, "train.lr=1").startswith("-S train.lr=1: train.lr is unknown; known are ")
    assert refusal(tmp_path, GOOD, "tran.seed=1") == "params.yaml: tran is unknown; did you mean train?"


def test_an_override_for_another_stage_is_refused_rather_than_ignored():
    with pytest.raises(PipelineError, match=r"only section train; give this to python -m pipeline\.convert"):
        load_params(PARAMS[0], ["convert.layout=image"], Train)


def test_a_stage_does_not_mind_what_is_wrong_in_the_section_of_another(tmp_path):
    (tmp_path / "params.yaml").write_text("train: {hidden: 3}\ndownload: {dataset: digits}\n")
    assert load_params(tmp_path / "params.yaml", (), Download).dataset == "digits"


def test_P2_a_missing_key_is_named(tmp_path):
    text = "".join(line for line in GOOD.splitlines(True) if not line.startswith("  loss:"))
    assert refusal(tmp_path, text) == "params.yaml: train.loss is missing; add it."


def test_P2_a_missing_section_is_named(tmp_path):
    for text in (GOOD[: GOOD.index("train:")], "train:", "train: 5"):
        assert refusal(tmp_path, text) == "params.yaml: train is missing; add it, and its keys under it."


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.batch_size=true", "True; it must be a valid integer"),
        ("train.batch_size=100.0", "100.0; it must be a valid integer"),
        ("train.learning_rate='0.1'", "'0.1'; it must be a valid number"),
        ("convert.one_hot=1", "1; it must be a valid boolean"),
        ("convert.one_hot=NO", "'NO'; it must be a valid boolean"),
        ("download.dataset=[mnist]", "['mnist']; choose mnist, "),
        ("train.initializer=0.01", "train.initializer is 0.01; choose normal STD, glorot or he."),
        ("train.layers=[affine: 50, affine]", "train.layers[0] is {'affine': 50}; choose affine [UNITS], conv "),
        ("train.layers=[affine 50, 3, affine]", "train.layers[1] is 3; choose affine [UNITS], conv "),
        ("train.layers=affine 50", "train.layers is 'affine 50'; write it in brackets: [affine 50]."),
        ("train.augment=shift 2", "train.augment is 'shift 2'; write it in brackets: [shift 2]."),
        ("train.layers=5", "train.layers is 5; it must be a valid list."),
        ("evaluate.crops=true", "evaluate.crops is True; choose 1 or 9."),
        ("evaluate.crops=9.0", "evaluate.crops is 9.0; choose 1 or 9."),
        (
            "train.length=10000",
            "train.length is 10000; expected a number of iterations or epochs up to 1000000000, as ",
        ),
        ("train.length=5 epoch", "as in 10000 iterations or 10 epochs."),
    ],
)
def test_P3_a_wrong_type_is_refused_not_converted(tmp_path, override, said):
    assert said in refusal(tmp_path, GOOD, override)


def test_P3_a_whole_number_will_do_for_a_fraction():
    assert load("train.learning_rate=1").learning_rate == 1.0


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e400"])
def test_P4_what_is_not_finite_is_refused(tmp_path, value):
    assert "must be a finite number" in refusal(tmp_path, GOOD, f"train.learning_rate={value}")


@pytest.mark.parametrize("value", ["-0.0", "0", "-1"])
def test_P4_a_learning_rate_must_be_above_zero(tmp_path, value):
    assert "must be greater than 0" in refusal(tmp_path, GOOD, f"train.learning_rate={value}")


@pytest.mark.parametrize(
    "override", ["train.weight_decay=-0.0", "train.learning_rate=1e-35", "train.weight_decay=1e-31"]
)
def test_P4_zero_has_no_sign(tmp_path, override):
    said = "a number must be 0.0, without a sign, or differ from it by at least 1e-30."
    assert refusal(tmp_path, GOOD, override).endswith(f"{override.replace('=', ' is ')}; {said}")


def test_a_wrong_layer_is_named_by_its_place(tmp_path):
    message = refusal(tmp_path, GOOD, "train.layers=[affine 50, sigmod, affine]")
    place = "-S train.layers=[affine 50, sigmod, affine]: train.layers[1] is 'sigmod'; "
    assert message.startswith(
        place + "did you mean sigmoid? choose affine [UNITS], conv FILTERS KERNEL [PADDING] [STRIDE],"
    )


@pytest.mark.parametrize(
    "layers", ["relu", "affine 10", "affine, affine", "affine, affine 10", "affine, relu, conv 3 3", "conv 3 3, relu"]
)
def test_only_the_last_layer_with_weights_is_a_bare_affine(tmp_path, layers):
    message = refusal(tmp_path, GOOD, f"train.layers=[{layers}]")
    assert message.endswith(
        "; end the list with affine without a number (it gets one output per class), "
        "and give every earlier affine a number."
    )


def test_layers_without_weights_may_follow_the_last_one_with_weights():
    assert load("train.layers=[conv 3 3, relu, affine, tanh]").layers[-1] == "tanh"


def test_there_are_1_to_100_layers(tmp_path):
    assert len(load(f"train.layers=[{'relu, ' * 99} affine]").layers) == 100
    assert "it must have at most 100 items, not 101" in refusal(
        tmp_path, GOOD, f"train.layers=[{'relu, ' * 100} affine]"
    )
    assert "train.layers is []; it must have at least 1 item, not 0." in refusal(tmp_path, GOOD, "train.layers=[]")


def test_spaces_around_a_word_and_its_numbers_mean_nothing():
    assert load("train.layers=[conv  6 5 , affine]", "train.loss=' cross_entropy   0.1'") == load(
        "train.layers=[conv 6 5, affine]", "train.loss=cross_entropy 0.1"
    )


@pytest.mark.parametrize(
    ("key", "inside", "outside"),
    [
        ("train.weight_decay", 0, 1),
        ("train.learning_rate", 1000, 1000.5),
        ("train.batch_size", 1, 0),
        ("train.seed", 0, -1),
        ("train.negatives", 1_000_000, -1),
        ("train.seed", 2**63 - 1, 2**63),
        ("convert.validation", 0, -1),
        ("evaluate.batch_size", 1, 0),
        ("evaluate.mistakes", 100, 101),
    ],
)
def test_P5_T8_each_range_ends_where_it_says(tmp_path, key, inside, outside):
    assert load(f"{key}={inside}")
    assert f"{key} is {outside}; it must be" in refusal(tmp_path, GOOD, f"{key}={outside}")


def ranges():
    """Every number of the schema with its ends: (key, type, least taken or None, greatest taken or None)."""
    for section, content in SCHEMA["properties"].items():
        for key, about in content["properties"].items():
            if about["type"] in ("integer", "number") and "enum" not in about:
                yield f"{section}.{key}", about


@pytest.mark.parametrize(("key", "about"), list(ranges()), ids=lambda part: part if isinstance(part, str) else "")
def test_T8_at_just_inside_and_just_outside_each_end_of_each_range(tmp_path, key, about):
    """The ends are from the schema, so that a new parameter is tested, too; without an upper end, 2**40 is tried."""
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
        load(f"{key}={value}")
    for value in refused:
        assert f"{key} is {value!r}; it must be" in refusal(tmp_path, GOOD, f"{key}={value!r}")


def test_P5_parameters_that_contradict_each_other_are_refused(tmp_path):
    assert "needs arithmetic float64" in refusal(tmp_path, GOOD, "train.gradient=numerical 1e-5")
    assert "make it true" in refusal(tmp_path, GOOD, "convert.features=edges", "convert.normalize=false")


def test_P6_a_duplicate_key_is_refused(tmp_path):
    assert "duplicate key" in refusal(tmp_path, GOOD.replace("  seed: 1", "  seed: 1\n  seed: 2"))


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
    assert load(path=path) == load()


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
    with pytest.raises(
        PipelineError,
        match=r"does not exist; run in the project's folder, name it by --params, or make one: pipeline params",
    ):
        load(path=tmp_path / "params.yaml")


def test_P11_a_folder_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="is not a regular file; run in"):
        load(path=tmp_path)


def test_P11_a_link_is_followed(tmp_path):
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    assert load(path=tmp_path / "params.yaml") == load()


def test_P11_a_file_that_may_not_be_read_is_refused(unprivileged):
    path = unprivileged / "params.yaml"
    path.touch(mode=0)
    with pytest.raises(PipelineError, match=r"params.yaml cannot be read: Permission denied"):
        load(path=path)


@pytest.mark.parametrize("override", ["train.seed", "seed=1", "=1", "train.=1", ""])
def test_an_override_that_is_no_assignment_is_refused(tmp_path, override):
    assert "expected SECTION.KEY=VALUE" in refusal(tmp_path, GOOD, override)


@pytest.mark.parametrize(
    "override", ["train.seed.x=3", "train.layers.0=relu", "train.seed.x.y=3", "download.dataset.a.b=3"]
)
def test_an_override_of_something_in_a_value_is_refused_rather_than_ignored(tmp_path, override):
    assert refusal(tmp_path, GOOD, override).startswith(f"-S {override}: ")
    assert "holds a value" in refusal(tmp_path, GOOD, override)


@pytest.mark.parametrize("override", ["train.layers=[relu, x]", "train.hidden.a=3", "train.loss.x=3"])
def test_an_override_is_named_whatever_it_put_in_its_key(tmp_path, override):
    assert refusal(tmp_path, GOOD, override).startswith(f"-S {override}: ")


def test_an_override_wins_over_the_file_and_the_last_one_over_the_first():
    train = load("train.seed=7", "train.seed=9", "train.optimizer=adam")
    assert (train.seed, train.optimizer) == (9, "adam")


ODD = ["? ", "&a", "*a", "!!int", "2001-13-45", "9" * 5000, "1e999", ".nan", "<<", "%YAML 1.1\n---\n", "0x1p3"]
scraps = st.sampled_from([*"[]{},:-'\"|>~#!? \n\t\x00\u2028", "a", "train", ": ", "  ", "- ", *ODD])


@given(st.binary(max_size=200) | st.lists(scraps, max_size=40).map(lambda found: "".join(found).encode()))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(PipelineError) as caught:
        load(path=path)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60) | st.lists(scraps, max_size=20).map(lambda found: f"train.layers={''.join(found)}"))
def test_any_override_is_taken_or_refused_in_one_line(override):
    try:
        load(override)
    except PipelineError as error:
        message = str(error)
    else:
        message = ""
    assert len(message) < 1000 + 2 * len(override)
