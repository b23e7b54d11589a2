"""axe-core finds no violation of WCAG 2.2 or of its own good practice in the pages, on any screen."""

from pathlib import Path

import pytest
from browser import Browser
from needs import need
from test_compare import a_run
from test_pad import draw
from test_page import report

from pipeline.report.comparison import comparison

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

AXE = Path(__file__).parent / "axe/node_modules/axe-core/axe.min.js"
ALL = {"rules": {"target-size": {"enabled": True}}}  # beside those that axe runs by default
NAMES = ["a", "_b", "<c>", "d", "e", "f", "g"]
PAGES = {
    "report": lambda: report((28, 28)),
    "report without a pad": lambda: report((28, 28), layers=["affine 800", "sigmoid", "affine"]),
    "report of words": lambda: report((28, 28), names=["Ankle boot", "T-shirt/top", "Coat"]),
    "compare": lambda: comparison([a_run(name, seed=i) for i, name in enumerate(NAMES)], "later (queued)").decode(),
}


def violations(browser: Browser) -> list[str]:
    """The rules that the page violates, each with the elements that do."""
    need(AXE.is_file(), "the pages against axe-core: make extras installs it, where there is npm")
    browser.run(AXE.read_text("utf-8"))
    found = browser.run("return axe.run(document, arguments[0]).then((found) => found.violations)", ALL)
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]


@pytest.mark.parametrize("screen", [(1280, 1000), (390, 844)], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_no_violation(browser, tmp_path, page, scheme, screen):
    (html := tmp_path / "page.html").write_text(PAGES[page](), "utf-8")
    with browser.emulating(*screen, scheme):
        browser.open(html)
        if browser.run("return 'pad' in window && 'answer' in pad"):
            draw(browser, 3)
        assert violations(browser) == []


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        (' lang="en"', "", "html-has-lang"),
        ("--ink: #1b1f24", "--ink: #ccc", "color-contrast"),
        (' alt=""', "", "image-alt"),
    ],
)
def test_axe_finds_what_is_wrong(browser, tmp_path, right, wrong, rule):
    text = report()
    assert right in text
    (html := tmp_path / "page.html").write_text(text.replace(right, wrong), "utf-8")
    browser.open(html)
    assert rule in [found.split(":")[0] for found in violations(browser)]
