"""Waiting with a deadline: for items that come, that end, that fail and that never come."""

import itertools
import threading

import pytest

from pipeline.datasets.patience import in_time


def endless(ended):
    try:
        yield from itertools.count()
    finally:
        ended.set()


def test_items_come_in_order_and_the_producer_ends_when_nobody_asks_any_more():
    ended = threading.Event()
    items = in_time(endless(ended), lambda: 60.0)
    assert list(itertools.islice(items, 100)) == list(range(100))
    assert not ended.is_set()
    items.close()
    assert ended.wait(60)


def test_an_error_of_the_producer_is_raised_after_its_items():
    def failing():
        yield 1
        raise KeyError("later")

    items = in_time(failing(), lambda: 60.0)
    assert next(items) == 1
    with pytest.raises(KeyError):
        next(items)


def test_an_item_that_does_not_come_is_not_waited_for():
    over = threading.Event()

    def slow():
        yield 1
        over.wait()

    items = in_time(slow(), iter([60.0, 0.05]).__next__)
    assert next(items) == 1
    with pytest.raises(TimeoutError):
        next(items)
    over.set()
