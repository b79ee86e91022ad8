"""Test every external call of a run: crash or lost connection before and after the call.

`make test` tests each kind of call once. `make crash-matrix` tests every call of every scenario
(`PART=1/2`: every second call, for two processors).
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from runyard_service import container
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.threads import Thread
from tests.crashes.call_sites import call_sites
from tests.crashes.crash_harness import CrashHarness
from tests.crashes.matrix import (
    Recording,
    Verdict,
    all_points,
    lines_of,
    record,
    selected_points,
    verdict,
)
from tests.crashes.table import DOCUMENT, document, table
from tests.fault_injection.faults import Fault, Process

USE_CASES = (
    *("start_run", "advance_run", "request_input", "submit_input", "cancel_run", "close_run"),
    "sweep_runs",
)
# Call sites that no run reaches, and why.
ELSEWHERE = {
    "application/runs/journal.py: self.stores.histories.cache": "the memory of this process",
    "adapters/s3/agent_bundle.py": "the agents' own object; a run has its snapshot",
    "adapters/dynamodb/table.py: self.client.scan": "proofs over the store",
    "adapters/dynamodb/table.py: self.client.batch_write_item": "deletions: test_delete_run.py",
    "adapters/dynamodb/table.py: self.client.delete_item": "the same",
    "adapters/s3/bucket.py": "the same",
    "application/runs/delete_run.py": "the same",
    "application/maintenance/retention.py": "the same",
    "application/maintenance/sweep_runs.py: stores.deleted_runs.find": "the same",
    "application/webhooks/publish_events.py": "published again after a loss: test_webhooks.py",
    "application/webhooks/deliver_webhook.py": "the same",
    "application/webhooks/redeliver.py": "the same",
    "application/webhooks/trigger_deliveries.py": "sent again after an hour: test_webhooks.py",
    "adapters/secrets.py": "the key of streams' tickets",
}

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def recordings(world: CrashHarness) -> list[Recording]:
    """Record every scenario without a fault."""
    return record(world)


@pytest.fixture(scope="module")
def verdicts(
    world: CrashHarness, recordings: list[Recording], pytestconfig: pytest.Config
) -> list[Verdict]:
    """Return the verdict on every point."""
    part, _, parts = os.environ.get("CRASH_MATRIX", "").partition("/")
    points = list((all_points if part else selected_points)(recordings))
    if parts:
        points = points[int(part) - 1 :: int(parts)]
    capture, started = pytestconfig.pluginmanager.getplugin("capturemanager"), time.monotonic()
    found = []
    for number, point in enumerate(points, start=1):
        found.append(verdict(world, point))
        if number % 100 == 0 or number == len(points):
            wrong = sum(bool(one.is_wrong) for one in found)
            with capture.global_and_fixture_disabled():
                seconds = time.monotonic() - started
                print(f"\ncrashes: {number} of {len(points)}, {wrong} wrong, {seconds:.0f} s")  # noqa: T201
    return found


@pytest.mark.parametrize("verb", USE_CASES)
def test_a_crash_at_any_call_leads_to_the_result_of_an_undisturbed_run(
    verdicts: Sequence[Verdict], verb: str
) -> None:
    selected = [one for one in verdicts if one.point.at.verb == verb]
    assert len(selected) >= 10
    assert [f"{one.point}: {one.is_wrong}" for one in selected if one.is_wrong] == []


def test_a_thread_write_repeated_by_boto3_is_stored_once(world: CrashHarness) -> None:
    at = timestamp()
    thread = Thread(id=new_id(), project_id="p", org_id="o", created_at=at, updated_at=at)
    process = Process(Fault("dynamodb.PutItem thread", "after", "cut"))
    with world.working(process):
        container.container().stores.threads.create(thread)
    assert process.has_met
    assert world.stores.threads.get(thread.id) == thread


def test_every_external_call_site_is_covered(
    recordings: Sequence[Recording], verdicts: Sequence[Verdict]
) -> None:
    lines = {line for one in recordings for line in lines_of(one.calls)}
    lines |= {line for one in verdicts for line in one.lines}
    missed = [str(site) for site in call_sites() if not site.is_among(lines)]
    unexplained = [site for site in missed if not site.startswith(tuple(ELSEWHERE))]
    assert unexplained == [], "a scenario has to come there, or ELSEWHERE has to say why not"
    unneeded = [name for name in ELSEWHERE if not any(site.startswith(name) for site in missed)]
    assert unneeded == []


def test_the_documented_crash_table_matches_the_results(verdicts: Sequence[Verdict]) -> None:
    if "CRASH_MATRIX" in os.environ:
        pytest.skip("the table is made from each kind of call once")
    text = DOCUMENT.read_text(encoding="utf-8")
    found = document(text, table(verdicts))
    if "CRASH_TABLE" in os.environ:
        DOCUMENT.write_text(found, encoding="utf-8")
    assert found == Path(DOCUMENT).read_text(encoding="utf-8"), (
        "`make docs-crash-table` writes it again"
    )
