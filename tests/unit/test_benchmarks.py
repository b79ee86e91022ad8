"""Calculations of the benchmarks on measured values."""

import random
from base64 import b64encode

import pytest

from benchmarks.own_time import own_milliseconds
from benchmarks.results import Figure, p99, table
from benchmarks.spans import Span, covered
from benchmarks.storage_size import size_in
from benchmarks.what_if import Line, regrouped, tail_reads, units
from runyard_service.adapters.dynamodb.attributes import to_attributes

ENDPOINT, WORKER = 1, 2


def delta(at: float, size: int = 400) -> Line:
    return Line(b"x" * size, at, is_delta=True, ends_response=False)


def end(at: float) -> Line:
    return Line(b"x" * 400, at, is_delta=False, ends_response=True)


def test_a_figure_is_within_its_target_or_over_it_or_has_no_target() -> None:
    assert Figure("a", 80, "ms", at_most=80).is_reached is True
    assert Figure("a", 81, "ms", at_most=80).is_reached is False
    assert Figure("a", 11_199, "events/s", at_least=11_200).is_reached is False
    assert Figure("a", 1, "MB").is_reached is None
    assert p99(list(range(100))) == 99


def test_the_table_has_a_column_for_each_peer_with_its_ratio() -> None:
    rendered = table([Figure("a", 10, "ms")], [("peer", {"a": 25.0}), ("other", {})])
    assert rendered.splitlines()[-1] == "| a | 10 ms |  |  | 25 (2.5) |  |"


def test_spans_that_overlap_count_once() -> None:
    spans = [Span(1, "a", 1, 3), Span(1, "b", 2, 4), Span(1, "c", 6, 9)]
    assert covered(spans, 0, 7) == 4


def test_own_time_excludes_the_emulators() -> None:
    spans = [
        Span(ENDPOINT, "DynamoDB_20120810.PutItem", 1, 3),
        Span(ENDPOINT, "AWSStepFunctions.StartExecution", 4, 6),
        Span(WORKER, "invoke RunStepFunction", 10, 16),
        Span(WORKER, "DynamoDB_20120810.TransactWriteItems", 11, 12),
        Span(ENDPOINT, "DynamoDB_20120810.Query", 11.5, 12.5),
        Span(WORKER, "DynamoDB_20120810.TransactWriteItems", 13, 15),
        Span(ENDPOINT, "DynamoDB_20120810.Query", 16, 17),
    ]
    # 4 - 2 before the state machine, 5 - 3 in the handler, 3 - 1 after the end.
    assert own_milliseconds(spans, ENDPOINT, 0, 18) == pytest.approx(6000)


def test_the_first_delta_and_the_end_of_a_response_are_written_at_once() -> None:
    lines = [delta(0.0), delta(0.1), delta(0.2), delta(0.5), end(0.55)]
    assert [len(batch) for batch in regrouped([lines], 0.3)] == [1, 2, 2]
    assert [len(batch) for batch in regrouped([lines], 0.05)] == [1, 1, 1, 1, 1]
    assert [len(batch) for batch in regrouped([lines], 5)] == [1, 4]


def test_write_units_are_kilobytes_of_the_smaller_of_plain_and_compressed_item() -> None:
    noise = Line(b64encode(random.Random(1).randbytes(1100)), 0, True, False)
    assert units([[delta(0)], [delta(0)] * 3]) == 1 + 1
    assert units([[noise], [noise, delta(0)]]) == 2 + 2


def test_an_idle_tail_reads_after_each_of_its_pauses() -> None:
    # 0.1, 0.25, 0.475, 0.775, and so on every 0.3 s up to 2.
    assert tail_reads([], 0.1, 0.3, 0, 2) == 0.5 * 8


def test_a_tail_uses_half_a_read_unit_for_each_4_kb() -> None:
    idle = 0.5 * 8
    for size, found in ((400, 0.5), (4_000, 1.0), (9_000, 1.5)):
        # At the end, where no further read follows.
        assert tail_reads([[delta(2, size)]], 0.1, 0.3, 0, 2) == idle + found


def test_stored_bytes_include_items_and_their_index_entries() -> None:
    item = to_attributes({"pk": "RUN#1", "n": 1200, "z": b"1234", "l": ["ä", True], "at": "now"})
    alone = 100 + (2 + 5) + (1 + 2) + (1 + 4) + (1 + 3 + 1 + 2 + 1 + 1) + (2 + 3)
    assert size_in([item], []) == alone
    entry = 100 + (2 + 5) + (2 + 3)
    assert size_in([item], [{"pk", "at"}, {"pk", "gone"}]) == alone + entry
