"""Run the smaller form of the soak test; `make soak` runs it with five hundred runs."""

from pathlib import Path

import pytest

from tests.soak import KEY, soak


@pytest.mark.timeout(300)
def test_runs_end_correctly_while_workers_are_killed(tmp_path: Path) -> None:
    lines: list[str] = []
    soaked = soak(40, tmp_path, lines.append)
    assert soaked.violations == []
    assert soaked.counts["workers killed"] > 0
    assert soaked.describe_result().endswith(" 0 violations")
    assert soaked.counts["answers"] == 2 * 38
    assert KEY not in "".join(lines)
