"""Work beside other work keeps its order, tells its faults, and ends with its block."""

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from etl.ahead import Lanes, ahead

PATIENCE_S = 20


def test_items_come_in_their_order_and_each_once() -> None:
    with ahead(iter(range(100))) as items:
        assert list(items) == list(range(100))


def test_no_items_are_no_items() -> None:
    nothing: Iterator[int] = iter([])
    with ahead(nothing) as items:
        assert list(items) == []


def test_the_next_item_is_made_while_the_caller_uses_the_one_before() -> None:
    is_second_made = threading.Event()

    def made() -> Iterator[int]:
        yield 1
        is_second_made.set()
        yield 2

    with ahead(made()) as items:
        assert next(items) == 1
        assert is_second_made.wait(PATIENCE_S)
        assert next(items) == 2


def test_memory_holds_one_item_that_waits_and_no_more() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    with ahead(numbers()) as items:
        for item in items:
            assert made[-1] <= item + 1


def test_a_fault_comes_out_where_its_item_would_have() -> None:
    def faulty() -> Iterator[int]:
        yield 1
        yield 2
        message = "line 3"
        raise ValueError(message)

    taken: list[int] = []

    def take() -> None:
        with ahead(faulty()) as items:
            taken.extend(items)

    with pytest.raises(ValueError, match="line 3"):
        take()
    assert taken == [1, 2]


def test_nothing_is_made_after_the_caller_has_left() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    with ahead(numbers()) as items:
        next(items)
    assert len(made) <= 3
    assert not [each for each in threading.enumerate() if each.name.startswith("ahead")]


def test_stages_may_stand_in_a_line() -> None:
    with (
        ahead(iter(range(50))) as numbers,
        ahead(number * 2 for number in numbers) as doubled,
        ahead(number + 1 for number in doubled) as odd,
    ):
        assert list(odd) == list(range(1, 101, 2))


def test_two_lanes_work_at_the_same_time() -> None:
    both = threading.Barrier(2)
    with Lanes[int](2) as lanes:
        done = lanes.start(partial(both.wait, PATIENCE_S))
        done += lanes.start(partial(both.wait, PATIENCE_S))
        done += lanes.finish()
    assert sorted(done) == [0, 1]


def test_one_lane_takes_its_pieces_one_after_the_other() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return len(begun)

    with Lanes[int](1) as lanes:
        done = [each for n in range(20) for each in lanes.start(partial(work, n))]
        done += lanes.finish()
    assert begun == list(range(20))
    assert sorted(done) == list(range(1, 21))


def test_a_third_piece_waits_for_its_turn_and_a_fourth_is_not_taken_yet() -> None:
    may_end, is_fourth_taken = threading.Event(), threading.Event()
    done: list[bool] = []

    def hand_over(lanes: Lanes[bool]) -> None:
        for _ in range(4):
            done.extend(lanes.start(partial(may_end.wait, PATIENCE_S)))
        is_fourth_taken.set()

    with Lanes[bool](2) as lanes:
        caller = threading.Thread(target=hand_over, args=(lanes,))
        caller.start()
        assert not is_fourth_taken.wait(0.05)
        may_end.set()
        assert is_fourth_taken.wait(PATIENCE_S)
        caller.join(PATIENCE_S)
        assert done + lanes.finish() == [True] * 4


def test_a_piece_that_fails_is_told_and_what_waits_is_not_begun() -> None:
    begun: list[str] = []

    def faulty() -> int:
        begun.append("first")
        message = "no room"
        raise OSError(message)

    def work(name: str) -> int:
        begun.append(name)
        return 0

    def hand_over() -> None:
        with Lanes[int](1) as lanes:
            lanes.start(faulty)
            lanes.start(partial(work, "second"))
            lanes.start(partial(work, "third"))

    with pytest.raises(OSError, match="no room"):
        hand_over()
    assert begun[0] == "first"
    assert "third" not in begun


def test_what_is_under_way_ends_before_the_block_does() -> None:
    is_begun, has_ended = threading.Event(), threading.Event()

    def work() -> int:
        is_begun.set()
        has_ended.wait(0.05)
        has_ended.set()
        return 1

    with Lanes[int](2) as lanes:
        lanes.start(work)
        assert is_begun.wait(PATIENCE_S)
    assert has_ended.is_set()
