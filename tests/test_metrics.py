"""Scores add up, count every image once, and rank mistakes by how sure the net was."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.metrics import confusion_matrix, scores, worst_mistakes

NAMES = ["a", "b", "c"]
answers = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=60).map(
    lambda pairs: np.array(pairs, dtype=np.intp).reshape(-1, 2).T
)


@given(answers)
def test_E10_the_confusion_matrix_sums_to_the_images_and_its_trace_is_the_accuracy(pairs):
    labels, predicted = pairs
    confusion = confusion_matrix(labels, predicted, 3)
    result = scores(confusion, NAMES)
    assert confusion.sum() == len(labels) == result["images"]
    assert result["accuracy"] * max(len(labels), 1) == np.count_nonzero(labels == predicted)
    assert all(confusion[k].sum() == result["classes"][name]["images"] for k, name in enumerate(NAMES))


def test_precision_recall_and_f1_of_a_worked_example():
    confusion = np.array([[8, 2, 0], [1, 4, 0], [0, 4, 1]])
    b = scores(confusion, NAMES)["classes"]["b"]
    assert b == {"images": 5, "precision": 4 / 10, "recall": 4 / 5, "f1": 2 * 0.4 * 0.8 / (0.4 + 0.8)}


@given(answers)
def test_E8_scores_stay_between_0_and_1_even_with_classes_absent(pairs):
    result = scores(confusion_matrix(*pairs, 3), NAMES)
    numbers = [result["accuracy"], result["error"]]
    numbers += [row[key] for row in result["classes"].values() for key in ("precision", "recall", "f1")]
    assert all(0 <= number <= 1 for number in numbers)


@given(answers)
def test_E7_scores_are_plain_python_numbers(pairs):
    result = scores(confusion_matrix(*pairs, 3), NAMES)
    leaves = [value for key, value in result.items() if key != "classes"]
    leaves += [value for row in result["classes"].values() for value in row.values()]
    assert {type(leaf) for leaf in leaves} <= {int, float}


def test_the_worst_mistake_is_the_surest_and_right_answers_are_none():
    labels = np.array([0, 0, 1, 2])
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.95, 0.05, 0], [0.1, 0.3, 0.6]])
    assert worst_mistakes(labels, probabilities, 10).tolist() == [2, 1]
    assert worst_mistakes(labels, probabilities, 1).tolist() == [2]


def test_E8_ties_between_mistakes_keep_the_order_of_the_images():
    probabilities = np.array([[0.7, 0.3]] * 4)
    assert worst_mistakes(np.array([1, 1, 0, 1]), probabilities, 10).tolist() == [0, 1, 3]
