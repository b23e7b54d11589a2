"""Scores add up, count every image once, and rank mistakes by how sure the net was."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.report.metrics import by_class, confusion_matrix, headline, worst_mistakes

NAMES = ["a", "b", "c"]
answers = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=60).map(
    lambda pairs: np.array(pairs, dtype=np.intp).reshape(-1, 2).T
)


@given(answers)
@example(np.array([[0] * 25, [0] * 7 + [1] * 18]))  # 7 / 25 * 25 is not 7
def test_E10_the_confusion_matrix_sums_to_the_images_and_its_trace_is_the_accuracy(pairs):
    labels, predicted = pairs
    confusion = confusion_matrix(labels, predicted, 3)
    result = headline(confusion)
    assert confusion.sum() == len(labels) == result["images"]
    assert result["accuracy"] == np.count_nonzero(labels == predicted) / max(len(labels), 1)
    assert sum(row["images"] for row in by_class(confusion, NAMES).values()) == len(labels)


def test_precision_recall_and_f1_of_a_worked_example():
    confusion = np.array([[8, 2, 0], [1, 4, 0], [0, 4, 1]])
    b = by_class(confusion, NAMES)["b"]
    assert b == {"images": 5, "precision": 4 / 10, "recall": 4 / 5, "f1": 2 * 0.4 * 0.8 / (0.4 + 0.8)}


def leaves(pairs) -> list:
    confusion = confusion_matrix(*pairs, 3)
    return [
        *headline(confusion).values(),
        *(leaf for row in by_class(confusion, NAMES).values() for leaf in row.values()),
    ]


@given(answers)
def test_E8_shares_stay_between_0_and_1_even_with_classes_absent(pairs):
    assert all(0 <= leaf <= 1 for leaf in leaves(pairs) if isinstance(leaf, float))


@given(answers)
def test_E7_scores_are_plain_python_numbers(pairs):
    assert {type(leaf) for leaf in leaves(pairs)} <= {int, float}


def test_the_worst_mistake_is_the_surest_and_right_answers_are_none():
    labels = np.array([0, 0, 1, 2])
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.95, 0.05, 0], [0.1, 0.3, 0.6]])
    assert worst_mistakes(labels, probabilities, 10).tolist() == [2, 1]
    assert worst_mistakes(labels, probabilities, 1).tolist() == [2]


def test_E8_ties_between_mistakes_keep_the_order_of_the_images():
    probabilities = np.array([[0.7, 0.3]] * 4)
    assert worst_mistakes(np.array([1, 1, 0, 1]), probabilities, 10).tolist() == [0, 1, 3]


def test_rows_of_the_confusion_matrix_are_true_classes_and_columns_answers():
    assert confusion_matrix(np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist() == [[0, 2], [0, 1]]
