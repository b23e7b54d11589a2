"""Every row of the fault table has a test, or a reason why not, and docs/faults.md says which."""

import pytest
from faults import ROOT, UNTESTED, by_row, collected, rows, rows_of
from faults_table import page


@pytest.fixture(scope="module")
def tests() -> dict[str, list[str]]:
    return by_row(collected())


@pytest.mark.slow
def test_every_row_has_a_test_or_a_reason(tests):
    assert [row for row in rows() if not tests[row] and row not in UNTESTED] == []
    assert [row for row in UNTESTED if row not in rows() or tests[row]] == []


@pytest.mark.slow
def test_the_page_is_up_to_date(tests):
    committed = (ROOT / "docs/faults.md").read_text("utf-8")
    assert committed == page(tests), "make it again: python tools/faults_table.py > docs/faults.md"


def test_no_row_is_forgotten():
    counts = {"D": 80, "C": 25, "T": 18, "E": 10, "P": 12}
    assert rows() == [f"{letter}{number + 1}" for letter, count in counts.items() for number in range(count)]


@pytest.mark.parametrize(
    ("node", "found"),
    [
        ("tests/test_a.py::test_D36_a_flipped_bit", {"D36"}),
        ("tests/test_a.py::test_C1_E1_a_missing_input[convert-D]", {"C1", "E1"}),
        ("tests/test_a.py::test_D46_to_D48_nothing_is_resumed", {"D46", "D47", "D48"}),
        ("tests/test_a.py::test_a_bad_reply[D10-403]", {"D10"}),
        ("tests/test_a.py::test_the_folder[D56-no-w-bit]", {"D56"}),
        ("tests/test_a.py::test_a_clock[OSError-D79-1970-x]", {"D79"}),
        ("tests/test_D1.py::test_sha_aD36b_and_ED1", set()),
    ],
    ids=list("abcdefg"),
)
def test_rows_are_read_from_names_and_ids(node, found):
    assert rows_of(node) == found
