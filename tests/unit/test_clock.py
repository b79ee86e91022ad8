"""Times of requests as timestamps."""

import pytest

from runyard_service.domain.clock import parse_rfc_3339, timestamp


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-10T09:15:21Z", "2026-06-10T09:15:21.000Z"),
        ("2026-06-10t09:15:21.042z", "2026-06-10T09:15:21.042Z"),
        ("2026-06-10T11:15:21.5+02:00", "2026-06-10T09:15:21.500Z"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000Z"),
        ("2026-06-10T09:15:21.0420001Z", "2026-06-10T09:15:21.043Z"),
        ("2026-06-10T09:15:21.999000001Z", "2026-06-10T09:15:22.000Z"),
        ("2026-06-10T09:15:21.042000Z", "2026-06-10T09:15:21.042Z"),
    ],
)
def test_a_time_of_a_request_becomes_a_timestamp(text: str, expected: str) -> None:
    assert parse_rfc_3339(text) == expected


def test_a_timestamp_is_a_time_of_a_request() -> None:
    now = timestamp()
    assert parse_rfc_3339(now) == now


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-06-10", "2026-06-10T09:15:21", "2026-06-10 09:15:21Z"),
        *("20260610T091521Z", "2026-W24-3T09:15:21Z", "2026-06-10T09:15Z", "1781082921"),
        *("2026-06-31T09:15:21Z", "2026-06-10T25:15:21Z", "2026-06-10T09:15:21+25:00"),
        *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "9000-01-01T00:00:00Z"),
        *("\u0662026-06-10T09:15:21Z", "2026-06-10T09:15:21Z\n"),
    ],
)
def test_other_texts_are_no_times(text: str) -> None:
    assert parse_rfc_3339(text) is None
