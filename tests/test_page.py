"""The report is one page, the same bytes everywhere, that needs no network, no mouse and no eyes."""

import base64
import io
import itertools
import re
import shlex
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from by_hand import ROOT, must
from hypothesis import example, given
from hypothesis import strategies as st
from nets import LENET, SIGMOID, a_net
from PIL import Image

from pipeline.nn.layers import LAYERS
from pipeline.params import parse, read_yaml
from pipeline.report import bitmap
from pipeline.report.chart import Chart, accuracies, svg, thinned, ticks
from pipeline.report.made import STANDARD, commands, flow
from pipeline.report.metrics import Answers, worst_mistakes
from pipeline.report.page import MOST_WEIGHTS, page, script, template

CURVES = {"epoch": [0.0, 1.0, 2.0], "train": [0.1, 0.8, 0.9], "held_out": [0.1, 0.7, 0.8], "loss": [2.3, 1.1, 0.5]}


def report(shape=(8, 8), names="0123456789", count=60, units=12, mistakes=24, layers=SIGMOID) -> str:
    rng = np.random.default_rng(0)
    weights, about = a_net(layers, shape)
    about["data"]["class_names"] = list(names)
    standard = {key.removeprefix("train."): value for key, value in STANDARD.items() if key.startswith("train.")}
    about["params"] = standard | {"layers": layers}
    labels, shares = rng.integers(0, len(names), count), rng.dirichlet(np.ones(len(names)), count)
    answers = Answers(rng.random((count, *shape)), labels, shares, list(names), 0.5)
    worst = worst_mistakes(labels, shares, mistakes)
    return page(answers, CURVES, worst, rng.normal(size=(units, *shape)), weights, about).decode()


class Elements(HTMLParser):
    """Every element of a page with its attributes, and those still open around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str], tuple[str, ...]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes), tuple(self.open)))
        if tag not in {"meta", "img", "input", "br", "line", "polyline", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} closes what it did not open"

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes), tuple(self.open)))

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes, _ in self.found if tag in tags]


def test_the_same_results_give_the_same_page():
    assert report() == report()


def test_the_page_is_well_formed_and_every_id_is_one_of_a_kind():
    elements = Elements(report())
    assert elements.open == []
    ids = [attributes["id"] for _, attributes, _ in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes, _ in elements.found:
        named = [attributes.get("href", "")[1:]] if attributes.get("href", "").startswith("#") else []
        named += attributes.get("aria-labelledby", "").split() + attributes.get("aria-describedby", "").split()
        assert set(named) <= set(ids)


def test_the_page_asks_nobody_for_anything():
    text = report()
    elements = Elements(text)
    sources = [
        value for _, attributes, _ in elements.found for key, value in attributes.items() if key in ("src", "href")
    ]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not elements.all("link", "iframe", "object")
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
    assert "default-src 'none'" in next(m["content"] for m in elements.all("meta") if "http-equiv" in m)


def test_what_is_seen_is_said():
    elements = Elements(report())
    assert elements.all("html")[0]["lang"] == "en"
    assert all("alt" in image for image in elements.all("img"))
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in elements.all("svg"))
    assert all("scope" in head for head in elements.all("th"))
    assert len(elements.all("caption")) == len(elements.all("table")) - 1  # that of a summary
    levels = [int(tag[1]) for tag, _, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all("label" in around or "id" in one for tag, one, around in elements.found if tag in ("input", "button"))


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = colour.lstrip("#")
    parts = [int(c * 2 if len(digits) == 3 else c, 16) / 255 for c in re.findall("." * (len(digits) // 3), digits)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_text_stands_out_from_its_background_by_day_by_night_and_on_paper():
    css = (ROOT / "pipeline/report/page.css").read_text()
    themes = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    assert len(themes) == 3
    for theme, text, background in itertools.product(themes, ("ink", "soft", "one", "two"), ("paper", "plate")):
        light, dark = sorted([luminance(theme[text]), luminance(theme[background])], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (theme, text, background)


def test_the_page_says_what_the_layers_are():
    assert "layers: conv 6 5 2, tanh, mean_pool 2, conv 16 5" in report((28, 28), layers=LENET)


def test_the_pad_has_every_layer():
    layers = re.search(r"const layers = \{\n(.*?)\n  \};", template("pad.js"), re.DOTALL)[1]
    assert re.findall(r"^    (\w+)[(:]", layers, re.MULTILINE) == list(LAYERS)


def test_names_are_text_whatever_they_hold():
    evil = ["</script><script>alert(1)</script>", "{{style}}", '"&<b>', "a", "b", "c", "d", "e", "f", "g"]
    text = report(names=evil)
    assert text.count("<script") == 2
    assert "<script>alert" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    assert ">{{style}}<" in text
    assert script("</script>") == '"\\u003c/script>"'


@pytest.mark.parametrize(
    ("names", "skill"), [("0123456789", "read handwritten digits"), ("abc", "tell 3 classes apart")]
)
def test_the_page_first_says_what_it_is_about(names, skill):
    text = report(names=names)
    said = re.sub(r"(<[^>]+>|\s)+", " ", text[text.index("</h1>") : text.index("</header>")]).strip()
    assert re.fullmatch(rf"A neural net learned to {skill} from .+\. It gets \d+\.\d\d% of 60 new images right\.", said)


@pytest.mark.parametrize(("names", "upright"), [("0123456789", 0), (["bag", "coat"], 2)])
def test_long_names_above_the_confusion_matrix_stand_upright(names, upright):
    assert report(names=names).count('class="upright"') == upright


def test_commands_name_only_what_the_projects_parameters_do_not_say():
    _, about = a_net(STANDARD["train.layers"])
    about["data"]["name"] = "mnist"
    about["params"] = {key: STANDARD[f"train.{key}"] for key in about["params"]} | {"seed": 7, "future": 1}
    told = [shlex.split(line)[3:] for line in commands(about)]
    assert told == [[], [], ["-S", "train.seed=7", "-S", "train.future=1"], []]


def test_the_standard_parameters_are_those_of_the_project():
    sections = read_yaml(ROOT / "params.yaml")
    found = {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}
    assert found == found | STANDARD


@given(st.lists(st.from_regex(r"[a-z_]{2,9}( -?[0-9.e]{1,5})*", fullmatch=True)))
@example(["null"])
@example(["a 1: b", "c # d"])
def test_a_list_of_words_reads_back_as_it_was(words):
    assert parse(flow(words)) == words


@pytest.mark.parametrize("value", ["$(touch x)", "a b", "'; touch x; '", "`touch x`", ["affine 50", "affine"]])
def test_a_shell_takes_what_a_model_file_says_as_one_word(value):
    _, about = a_net()
    about["params"]["seed"] = value
    words = shlex.split(commands(about)[2])
    written = value if isinstance(value, str) else "[affine 50, affine]"
    assert words[-2:] == ["-S", f"train.seed={written}"]


@pytest.mark.parametrize(("hidden", "drawn_on"), [(750, True), (800, False)])
def test_the_page_stays_under_two_megabytes(hidden, drawn_on):
    layers = [f"affine {hidden}", "sigmoid", "affine"]
    text = report((28, 28), count=400, units=hidden, mistakes=100, layers=layers)
    assert len(text.encode()) < 2_000_000
    assert ('<canvas id="canvas"' in text) == drawn_on
    assert (f"room for {MOST_WEIGHTS:,}" in text) != drawn_on


def test_no_mistake_at_all_is_a_page_too():
    assert "None at all." in report(mistakes=0)


# its pictures


@given(st.integers(1, 40), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_pictures_are_png_files_that_others_read_alike(rows, columns, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns)).astype(np.uint8)
    url = bitmap.png(pixels, bitmap.GREY)
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_weights_are_blue_for_and_red_against_and_white_for_none():
    pictures = np.array([[[-2.0, 0.0, 2.0]], [[0.0, 0.5, 0.0]]])
    with Image.open(io.BytesIO(base64.b64decode(bitmap.signed(pictures, 1).partition(",")[2]))) as image:
        colours = np.asarray(image.convert("RGBA"))
    assert [tuple(colour[:3]) for colour in colours[0, :3]] == [bitmap.AGAINST, bitmap.NEITHER, bitmap.FOR]
    assert tuple(colours[2, 1][:3]) == bitmap.FOR
    assert colours[1, :, 3].tolist() == [0, 0, 0, 0]


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_are_few_and_hold_all_between_them(low, reach):
    found = ticks(low, low + reach)
    assert 2 <= len(found) <= 8
    slack = 1e-6 * (abs(low) + reach + 1)
    assert found[0] <= low + slack
    assert found[-1] >= low + reach - slack


def test_a_long_curve_is_thinned_to_means():
    assert thinned([1.0, 3.0, 5.0, 7.0], 2) == [(2.0, 2.0), (4.0, 6.0)]
    assert thinned([1.0, 2.0], 400) == [(1.0, 1.0), (2.0, 2.0)]
    assert thinned([], 400) == []


def test_the_untrained_net_is_charted_only_where_there_is_little_else():
    assert accuracies(CURVES, "test").lines == {"train 90.00%": [(1, 80), (2, 90)], "test 80.00%": [(1, 70), (2, 80)]}
    two = {key: values[:2] for key, values in CURVES.items()}
    assert [e for e, _ in accuracies(two, "test").lines["train 80.00%"]] == [0, 1]


def test_one_point_is_a_chart_too():
    assert "<svg" in svg(Chart("t", {"loss": [(1.0, 0.0)]}, ("x", "y"), str))


# from the stages


@pytest.mark.slow
def test_the_commands_in_the_page_make_this_very_net(copy: Path, tmp_path: Path):
    settings = [
        "convert.validation=300",
        "train.layers=[affine 7, tanh, affine]",
        "train.length=300 iterations",
        "train.learning_rate=0.125",
        "train.seed=5",
    ]
    for stage in ("convert", "train", "evaluate"):
        must(copy, stage, *settings)
    text = (copy / "data/evaluation/report.html").read_text()
    assert str(tmp_path) not in text
    again = tmp_path / "again"
    again.mkdir()
    (again / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for line in re.search("<pre.*?>(.*?)</pre>", text, re.DOTALL)[1].splitlines():
        command = shlex.split(unescape(line).replace("python", sys.executable, 1))
        subprocess.run(command, cwd=again, check=True, capture_output=True)
    for name in ("model/weights.npz", "evaluation/report.html"):
        assert (again / "data" / name).read_bytes() == (copy / "data" / name).read_bytes()
