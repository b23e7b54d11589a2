"""The pad in the report, in a real browser: it gives the answers of Python, fast, to mouse, finger, keys and files."""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from drawings import SHAPES, STYLES, strokes
from nets import DEEP, LENET, STACKS, TEXTBOOK, a_file, a_net, a_stack, loaded, truth
from PIL import Image
from scenes import numbers, scenes
from test_page import CURVES
from test_page import report as a_page

from pipeline.commands.predict import look
from pipeline.datasets.arrays import Split
from pipeline.datasets.raw import arrange
from pipeline.datasets.registry import DATASETS
from pipeline.digit.framing import Framing
from pipeline.digit.picture import digits
from pipeline.model import Classifier, load_model
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.losses import softmax
from pipeline.nn.subspaces import fit
from pipeline.report.metrics import Answers
from pipeline.report.page import page

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

NETS = {
    **{f"random layers {seed}": {"layers": a_stack(seed)} for seed in range(STACKS)},
    "tanh of whole numbers": {"layers": ["affine 12", "tanh", "affine"], "normalize": False},
    "sigmoid of edges": {"features": "edges"},
    "tanh of frequencies": {"layers": ["affine 12", "tanh", "affine"], "features": "fourier"},
    "filters of frequencies": {"layers": ["conv 3 3", "max_pool 2", "affine"], "features": "fourier"},
    "filters of edges, small": {"layers": ["conv 4 3", "relu", "affine"], "shape": (8, 8), "features": "edges"},
    "wide images": {"layers": ["conv 5 3 1 2", "tanh", "mean_pool 2", "affine"], "shape": (12, 20)},
}

HAND = STYLES["finger"]._replace(height=1.0, slant=0.1)


def report(folder: Path, names: Sequence[str] = "0123456789", **net) -> tuple[Path, Path]:
    """A page and the model file that it was made of."""
    weights, about = a_net(**net)
    about["data"]["class_names"] = list(names)
    rng = np.random.default_rng(0)
    seen = about["data"]["feature_shape"]
    answers = Answers(rng.random((9, *seen)), np.arange(9), rng.dirichlet(np.ones(10), 9), list(names), 0.5)
    text = page(answers, CURVES, np.arange(5), rng.normal(size=(4, *seen)), weights, about)
    (folder / "report.html").write_bytes(text)
    return folder / "report.html", a_file(folder / "weights.npz", weights, about)


def draw(browser: Browser, digit: int, shape: int = 0, pen: int = 20, size: int = 210) -> None:
    """Draw a digit on the canvas of the pad directly, which is quicker than with the mouse."""
    ways = [
        (140 + size * np.array(way)).tolist()
        for way in strokes(SHAPES[digit][shape], HAND, np.random.default_rng(digit))
    ]
    browser.run(
        """const canvas = document.getElementById("canvas"), context = canvas.getContext("2d");
        context.clearRect(0, 0, canvas.width, canvas.height);
        Object.assign(context, {lineWidth: arguments[1], lineCap: "round", lineJoin: "round"});
        for (const way of arguments[0]) {
            context.beginPath();
            for (const [x, y] of way) context.lineTo(x, y);
            context.stroke();
        }
        pad.answer();""",
        ways,
        pen,
    )


def drawn(browser: Browser) -> Image.Image:
    """The drawing on the pad as a picture file: black on white."""
    url = browser.run('return document.getElementById("canvas").toDataURL("image/png")')
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return Image.fromarray(255 - np.asarray(image)[..., 3])


def by_python(model: Path, picture: Image.Image, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Image and probabilities as predict has them."""
    picture.save(folder / "drawn.png")
    weights, about = loaded(model)
    data = about["data"]
    ((_, ((image, _, _),)),) = look([folder / "drawn.png"], data)
    form = (data["features"], data["normalize"], data["layout"] == "flat")
    x = arrange(Split(image[None], np.zeros(1, int)), None, *form).images
    return image, softmax(ARITHMETICS[about["net"]["arithmetic"]], truth(weights, about, x))[0]


@pytest.mark.parametrize("name", NETS)
def test_page_and_python_agree_on_the_same_drawings(browser, tmp_path, name):
    html, file = report(tmp_path, **NETS[name])
    browser.open(html)
    answers = []
    for digit, pen, size in [
        (0, 20, 210),
        (1, 20, 150),
        (2, 4, 230),
        (4, 20, 60),
        (5, 40, 200),
        (7, 9, 180),
        (8, 20, 200),
    ]:
        draw(browser, digit, digit % 3, pen, size)
        image, probabilities = by_python(file, drawn(browser), tmp_path)
        seen, said = browser.run("return [pad.image, pad.probabilities]")
        np.testing.assert_array_equal(np.reshape(seen, image.shape), image)
        np.testing.assert_allclose(said, probabilities, atol=1e-3)
        answers.append(said)
    assert np.ptp(answers, axis=0).max() > 0.01  # the drawings do differ to the net
    assert browser.complaints() == []


@pytest.mark.parametrize("net", [{}, {"normalize": False}, {"features": "edges"}, {"shape": (8, 8)}])
def test_page_and_python_agree_on_what_is_like_no_training_image(browser, tmp_path, net):
    weights, about = a_net(**net)
    about["judging"] = {"temperature": 2.0, "held_out": "train", "images": 9}
    rng, seen = np.random.default_rng(5), about["data"]["feature_shape"]
    levels = (rng.random((200, np.prod(seen))) < 0.2) * rng.integers(0, 256, (200, np.prod(seen)))
    subspaces, _ = fit(levels.astype(np.uint8), np.arange(200) % 10, 10)
    answers = Answers(rng.random((9, *seen)), np.arange(9), rng.dirichlet(np.ones(10), 9), list("0123456789"), 0.5)
    file, found = tmp_path / "weights.npz", []
    for digit in (1, 8):
        for limit in (0.0, 1e9):
            judge = subspaces._replace(limit=limit)
            text = page(answers, CURVES, np.arange(5), np.ones((4, *seen)), weights, about, judge._asdict())
            (tmp_path / "report.html").write_bytes(text)
            browser.open(tmp_path / "report.html")
            draw(browser, digit)
            image, _ = by_python(a_file(file, weights, about, judge), drawn(browser), tmp_path)
            classifier = load_model(file)
            form = (about["data"]["features"], about["data"]["normalize"], True)
            x = arrange(Split(image[None], np.zeros(1, int)), None, *form).images
            scores = classifier.logits(x, 1)
            distance, refused, said, shares = browser.run(
                "return [pad.distance, pad.refused, document.getElementById('sure').textContent, pad.probabilities]"
            )
            found.append(distance)
            assert distance == pytest.approx(subspaces.distances(x, scores.argmax(axis=1)).item(), rel=1e-6)
            assert refused == classifier.refuses(x, scores).item() == (limit == 0)
            assert ("like no image" in said) == refused
            np.testing.assert_allclose(shares, classifier.probabilities(scores)[0], atol=1e-3)
    assert found[0] != found[2]
    assert browser.complaints() == []


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_page_and_python_agree_on_what_the_detector_finds_unlikely(browser, tmp_path, limit):
    weights, about = a_net()
    about["judging"] = {"temperature": 2.0, "held_out": "train", "images": 9}
    judge, _ = fit(np.zeros((20, 784), np.uint8), np.arange(20) % 10, 10)
    detector = Classifier(ARITHMETICS["exact"], None, *a_net(classes=11))
    detector = detector._replace(about=detector.about | {"limit": limit})
    file = a_file(tmp_path / "weights.npz", weights, about, judge._replace(limit=1e12), detector)
    net, rng = load_model(file), np.random.default_rng(5)
    answers = Answers(rng.random((9, 28, 28)), np.arange(9), rng.dirichlet(np.ones(10), 9), list("0123456789"), 0.5)
    text = page(answers, CURVES, np.arange(5), np.ones((4, 28, 28)), weights, net.about, net.unlike)
    (tmp_path / "report.html").write_bytes(text)
    browser.open(tmp_path / "report.html")
    draw(browser, 8)
    image, _ = by_python(file, drawn(browser), tmp_path)
    x = image.reshape(1, -1).astype(np.float32) / np.float32(255)
    scores = net.logits(x, 1)
    likely, refused = browser.run("return [pad.digits[0].likely, pad.refused]")
    assert likely == pytest.approx(net.detector.shares_of(x, scores.argmax(axis=1)).item(), abs=1e-3)
    assert refused == net.refuses(x, scores).item() == (limit == 1)
    assert browser.complaints() == []


PICTURES = {
    **{name: scene for name, _, scene in scenes() if name[-1] in "28"},
    **{name: number for name, _, number in numbers(each=1)},
}


@pytest.mark.parametrize("name", PICTURES)
def test_page_and_python_find_the_same_digits_in_a_picture(browser, tmp_path, name):
    html, file = report(tmp_path)
    browser.open(html)
    picture, content = PICTURES[name].convert("RGBA"), io.BytesIO()
    picture.thumbnail((400, 400))
    picture.save(content, "PNG")
    script = """return (async () => {
        const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
        pad.load(await createImageBitmap(new Blob([bytes])));
        return pad.digits.map(({line, box, image}) =>
            [line, [box.left, box.top, box.right, box.bottom], [...image.at]]);
    })()"""
    found = browser.run(script, base64.b64encode(content.getvalue()).decode())
    data = loaded(file)[1]["data"]
    expected = digits(content.getvalue(), name, tuple(data["image_shape"]), Framing(**data["framing"]), apart=True)
    assert [line for line, _, _ in found] == [digit.line for digit in expected]
    for (_, box, image), digit in zip(found, expected, strict=True):
        assert np.abs(np.array(box) - digit.box).max() <= 1
        assert np.mean(np.abs(np.reshape(image, digit.image.shape) - digit.image.astype(float)) > 2) <= 0.02
    assert browser.complaints() == []


def test_a_layer_that_the_page_does_not_know_is_named_in_the_pads_place(browser, tmp_path):
    html, _ = report(tmp_path)
    layers = re.search(r'"layers": ?\[', text := html.read_text("utf-8"))
    html.write_text(text[: layers.end()] + '"leaky_relu 0.1", ' + text[layers.end() :], "utf-8")
    browser.open(html)
    said = browser.run('return document.getElementById("pad").innerText').split("\n")
    assert [line for line in said if line] == ["Try it", "This page does not know the layer leaky_relu."]
    assert browser.complaints() == []


def test_the_page_asks_the_network_for_nothing(browser, tmp_path):
    html, _ = report(tmp_path)
    browser.open(html)
    draw(browser, 3)
    assert {url for url in browser.requests() if not url.startswith("data:")} == {html.as_uri()}


@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist"])
def test_answers_are_named_as_the_data_set_names_them(browser, tmp_path, name):
    names = DATASETS[name].class_names
    browser.open(report(tmp_path, names)[0])
    draw(browser, 3)
    best = int(np.argmax(browser.run("return pad.probabilities")))
    assert browser.run('return document.getElementById("answer").textContent') == names[best]


@pytest.mark.parametrize("pointer", ["mouse", "touch", "pen"])
def test_it_answers_as_one_draws(browser, tmp_path, pointer):
    browser.open(report(tmp_path)[0])
    way = [(x * 200, y * 200) for x, y in strokes(SHAPES[3][0], HAND, np.random.default_rng(3))[0]]
    browser.drag("#canvas", way, pointer)
    shares = browser.run("return pad.probabilities")
    best = int(np.argmax(shares))
    assert browser.run('return document.getElementById("answer").textContent') == str(best)
    assert browser.run('return document.getElementById("said").textContent') == f"{best}, {max(shares):.1%} sure"
    assert len(np.unique(np.asarray(drawn(browser)))) > 2
    browser.ask("POST", f"/element/{browser.find('#clear')}/click", {})
    assert browser.run("return pad.probabilities") is None
    assert browser.run('return document.getElementById("said").textContent') == "The pad is empty."


@pytest.mark.parametrize("layers", [TEXTBOOK, LENET, DEEP])
def test_the_first_answer_comes_within_50_milliseconds_of_the_stroke(browser, tmp_path, layers):
    html, _ = report(tmp_path, layers=layers)
    for _ in range(30):  # another process may use the machine meanwhile: the best time counts
        browser.open(html)
        browser.drag("#canvas", [(-40, -80), (40, 0), (-40, 80)])
        milliseconds = browser.run("return pad.milliseconds")
        if 0 < milliseconds < 50:
            break
    assert 0 < milliseconds < 50


def test_keys_draw_as_well(browser, tmp_path):
    html, file = report(tmp_path)
    browser.open(html)
    browser.run('document.getElementById("canvas").focus()')
    right, down, delete = "\ue014", "\ue015", "\ue017"
    browser.press(" " + down * 12 + " " + right * 3 + " " + right * 4 + " ")
    by_keys = drawn(browser)
    rows, _ = np.nonzero(np.asarray(by_keys) < 128)
    assert np.ptp(rows) == pytest.approx(120 + 20, abs=3)
    np.testing.assert_allclose(
        browser.run("return pad.probabilities"), by_python(file, by_keys, tmp_path)[1], atol=1e-3
    )
    browser.press(delete)
    assert browser.run("return pad.probabilities") is None


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (20, 240)])
def test_a_picture_from_a_file_is_answered_like_a_drawing(browser, tmp_path, paper, ink):
    html, _ = report(tmp_path)
    browser.open(html)
    draw(browser, 5)
    black_on_white = drawn(browser)
    expected = browser.run("return pad.probabilities")
    levels = np.asarray(black_on_white) / 255
    Image.fromarray((ink + (paper - ink) * levels).astype(np.uint8)).save(tmp_path / "five.png")
    browser.run("document.getElementById('clear').click()")
    browser.choose("#file", tmp_path / "five.png")
    for _ in range(50):
        if said := browser.run("return pad.probabilities"):
            break
    np.testing.assert_allclose(said, expected, atol=0.02)


def test_what_is_no_picture_is_said_to_be_none_and_clears_the_old_answer(browser, tmp_path):
    browser.open(report(tmp_path)[0])
    draw(browser, 4)
    (tmp_path / "notes.png").write_text("no picture")
    browser.choose("#file", tmp_path / "notes.png")
    said = browser.wait(
        'const { textContent } = document.getElementById("sure"); return textContent[0] === "n" && textContent'
    )
    assert said == "notes.png is no picture that this browser can read; save it as PNG or JPEG."
    assert browser.run('return [pad.probabilities, document.getElementById("answer").textContent]') == [None, "?"]
    assert np.asarray(drawn(browser)).min() == 255


def test_a_picture_of_thousands_of_marks_is_said_to_be_one_and_keeps_no_browser_busy(browser, tmp_path):
    browser.open(report(tmp_path)[0])
    dots = np.full((600, 600), 255, np.uint8)
    for y, x in np.ndindex(3, 3):
        dots[4 + y :: 10, 4 + x :: 10] = 0
    Image.fromarray(dots).save(tmp_path / "dots.png")
    browser.choose("#file", tmp_path / "dots.png")
    said = browser.wait(
        'const { textContent } = document.getElementById("sure"); return textContent[0] === "T" && textContent'
    )
    assert said == "That picture holds 3600 marks, more than 100; cut out one number."
    assert browser.run("return pad.probabilities") is None


HANDED = """const data = new DataTransfer();
if (arguments[1]) {
    const bytes = Uint8Array.from(atob(arguments[1]), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], "five.png", {type: "image/png"}));
} else data.setData("text/plain", "five");
const how = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data};
document.body.dispatchEvent(arguments[0] === "drop" ? new DragEvent("drop", how) : new ClipboardEvent("paste", how));
"""


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(browser, tmp_path, way):
    browser.open(report(tmp_path)[0])
    draw(browser, 5)
    five, expected = drawn(browser), browser.run("return pad.probabilities")
    five.save(file := io.BytesIO(), "PNG")
    browser.run("document.getElementById('clear').click()")
    browser.run(HANDED, way, None)
    assert browser.run('return document.getElementById("said").textContent') == "That holds no picture file."
    browser.run(HANDED, way, base64.b64encode(file.getvalue()).decode())
    np.testing.assert_allclose(browser.wait("return pad.probabilities"), expected, atol=0.02)


def test_strokes_clearing_and_pictures_are_taken_back(browser, tmp_path):
    browser.open(report(tmp_path)[0])
    seen = []
    for way in ([(-40, -80), (-40, 80)], [(40, -80), (40, 80)]):
        seen.append(browser.run("return pad.probabilities"))
        browser.drag("#canvas", way)
    seen.append(browser.run("return pad.probabilities"))
    browser.run("document.getElementById('clear').click()")
    assert seen[0] is None
    assert seen[1] != seen[2]
    for step, expected in enumerate([*reversed(seen), None]):  # one more than there are strokes to undo
        if step:
            browser.press("z", held="\ue009")  # the control key
        else:
            browser.run("document.getElementById('undo').click()")
        assert browser.run("return pad.probabilities") == expected


def test_a_second_finger_draws_nothing(browser, tmp_path):
    browser.open(report(tmp_path)[0])
    lines = []
    for palm in (False, True):
        browser.run(
            """document.getElementById("clear").click();
            const canvas = document.getElementById("canvas"), box = canvas.getBoundingClientRect();
            canvas.setPointerCapture = () => {};
            for (const [type, pointerId, x, y] of arguments[0]) canvas.dispatchEvent(new PointerEvent(
                type, {pointerId, clientX: box.left + x, clientY: box.top + y, bubbles: true}));""",
            [
                ("pointerdown", 1, 100, 50),
                *[(kind, 2, 250, 250) for kind in ("pointerdown", "pointermove", "pointerup") if palm],
                ("pointermove", 1, 100, 250),
                ("pointerup", 1, 100, 250),
            ],
        )
        lines.append(np.asarray(drawn(browser)))
    np.testing.assert_array_equal(*lines)
    assert lines[0].min() == 0


@pytest.mark.parametrize(
    ("clipboard", "said"),
    [
        ("{writeText: async (text) => { window.copied = text; }}", "Copied"),
        ("{writeText: async () => { throw Error(); }}", "Press Ctrl+C"),
        ("undefined", "Press Ctrl+C"),
    ],
)
def test_commands_are_copied_or_left_selected_for_the_keys(browser, tmp_path, clipboard, said):
    browser.open(report(tmp_path)[0])
    browser.run(f"Object.defineProperty(navigator, 'clipboard', {{value: {clipboard}}})")
    browser.ask("POST", f"/element/{browser.find('#copy')}/click", {})
    assert browser.wait(f"return document.getElementById('copy').textContent === '{said}'")
    text, selected = browser.run("return [window.copied, getSelection().toString()]")
    assert (text is not None) == (said == "Copied")
    assert "python -m pipeline.download" in selected
    assert text in (None, selected)


LOOK = """const box = (selector) => document.querySelector(selector).getBoundingClientRect();
const all = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.offsetParent);
const pad = box("#canvas"), answer = box("#answer"), chart = box(".chart");
return {
    wider: all("main *").filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.id),
    pad: pad.top, beside: answer.left >= pad.right && answer.bottom <= pad.bottom,
    text: parseFloat(getComputedStyle(document.querySelector(".chart text")).fontSize) * chart.width / 640,
    small: all("button, .button, nav a, summary").filter(
        (one) => one.getBoundingClientRect().height < 40 || one.getBoundingClientRect().width < 40).length,
};"""
FASHION = DATASETS["fashion-mnist"].class_names


@pytest.mark.parametrize("names", ["0123456789", FASHION])
def test_on_a_phone_nothing_is_cut_small_or_below_the_answer(browser, tmp_path, names):
    (html := tmp_path / "report.html").write_text(a_page((28, 28), names, layers=LENET))
    with browser.emulating(390, 844):
        browser.open(html)
        found = browser.run(LOOK)
    assert found["wider"] == []
    assert found["pad"] < 250  # of 844
    assert found["beside"]
    assert found["text"] >= 11
    assert found["small"] == 0


@pytest.mark.parametrize(("names", "units"), [("0123456789", 4), (FASHION, 100)])
def test_it_prints_on_two_sheets(browser, tmp_path, names, units):
    (html := tmp_path / "report.html").write_text(a_page((28, 28), names, units=units, layers=LENET))
    browser.open(html)
    sheets = base64.b64decode(browser.ask("POST", "/print", {}))
    assert len(re.findall(rb"/Type\s*/Page\b", sheets)) == 2
