"""What the benchmarks make of what they have measured."""

import random
from base64 import b64encode

import pytest

from benchmarks.own_time import own_milliseconds
from benchmarks.results import Figure, p99, table
from benchmarks.spans import Span, covered
from benchmarks.storage_size import size_in
from benchmarks.what_if import Line, regrouped, tail_reads, units
from runyard_service.adapters.dynamodb.attributes import to_attributes

DOOR, WORKER = 1, 2


def delta(at: float, size: int = 400) -> Line:
    return Line(b"x" * size, at, is_delta=True, ends_reply=False)


def end(at: float) -> Line:
    return Line(b"x" * 400, at, is_delta=False, ends_reply=True)


def test_a_figure_is_reached_or_not_or_nothing_is_asked_of_it() -> None:
    assert Figure("a", 80, "ms", at_most=80).is_reached is True
    assert Figure("a", 81, "ms", at_most=80).is_reached is False
    assert Figure("a", 11_199, "events/s", at_least=11_200).is_reached is False
    assert Figure("a", 1, "MB").is_reached is None
    assert p99(list(range(100))) == 99


def test_a_peer_stands_beside_with_its_ratio() -> None:
    shown = table([Figure("a", 10, "ms")], [("peer", {"a": 25.0}), ("other", {})])
    assert shown.splitlines()[-1] == "| a | 10 ms |  |  | 25 (2.5) |  |"


def test_spans_that_overlap_count_once() -> None:
    spans = [Span(1, "a", 1, 3), Span(1, "b", 2, 4), Span(1, "c", 6, 9)]
    assert covered(spans, 0, 7) == 4


def test_our_own_share_leaves_the_emulators_out() -> None:
    spans = [
        Span(DOOR, "DynamoDB_20120810.PutItem", 1, 3),
        Span(DOOR, "AWSStepFunctions.StartExecution", 4, 6),
        Span(WORKER, "invoke RunStepFunction", 10, 16),
        Span(WORKER, "DynamoDB_20120810.TransactWriteItems", 11, 12),
        Span(DOOR, "DynamoDB_20120810.Query", 11.5, 12.5),
        Span(WORKER, "DynamoDB_20120810.TransactWriteItems", 13, 15),
        Span(DOOR, "DynamoDB_20120810.Query", 16, 17),
    ]
    # Before the machine 4 less 2, in the handler 5 less 3, behind the end 3 less 1.
    assert own_milliseconds(spans, DOOR, 0, 18) == pytest.approx(6000)


def test_the_first_delta_and_the_end_of_a_reply_wait_for_no_window() -> None:
    lines = [delta(0.0), delta(0.1), delta(0.2), delta(0.5), end(0.55)]
    assert [len(put) for put in regrouped([lines], 0.3)] == [1, 2, 2]
    assert [len(put) for put in regrouped([lines], 0.05)] == [1, 1, 1, 1, 1]
    assert [len(put) for put in regrouped([lines], 5)] == [1, 4]


def test_units_are_kilobytes_of_an_item_compressed_where_that_is_less() -> None:
    noise = Line(b64encode(random.Random(1).randbytes(1100)), 0, True, False)
    assert units([[delta(0)], [delta(0)] * 3]) == 1 + 1
    assert units([[noise], [noise, delta(0)]]) == 2 + 2


def test_an_idle_tail_reads_at_its_pauses() -> None:
    # 0.1, 0.25, 0.475, 0.775, and so on every 0.3 s up to 2.
    assert tail_reads([], 0.1, 0.3, 0, 2) == 0.5 * 8


def test_what_a_tail_finds_costs_half_a_unit_for_each_4_kb() -> None:
    idle = 0.5 * 8
    for size, found in ((400, 0.5), (4_000, 1.0), (9_000, 1.5)):
        # At the end, so that no further read comes of it.
        assert tail_reads([[delta(2, size)]], 0.1, 0.3, 0, 2) == idle + found


def test_stored_are_items_and_their_entries_in_the_indexes_that_they_are_in() -> None:
    item = to_attributes({"pk": "RUN#1", "n": 1200, "z": b"1234", "l": ["ä", True], "at": "now"})
    alone = 100 + (2 + 5) + (1 + 2) + (1 + 4) + (1 + 3 + 1 + 2 + 1 + 1) + (2 + 3)
    assert size_in([item], []) == alone
    entry = 100 + (2 + 5) + (2 + 3)
    assert size_in([item], [{"pk", "at"}, {"pk", "gone"}]) == alone + entry
