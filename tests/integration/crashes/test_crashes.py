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
from tests.crashes.table import DOCUMENT, USE_CASES, document, table
from tests.fault_injection.faults import Fault, Process

# Call sites that no scenario reaches, and the reason.
ELSEWHERE = {
    "application/runs/journal.py: self.stores.histories.cache": "a cache in this process",
    "adapters/s3/agent_bundle.py": "the object of the agents; a run has a snapshot",
    "adapters/dynamodb/table.py: self.client.scan": "only for `runyard verify`",
    "adapters/dynamodb/table.py: self.client.batch_write_item": "deletions: test_delete_run.py",
    "adapters/dynamodb/table.py: self.client.delete_item": "the same",
    "adapters/s3/bucket.py": "the same",
    "application/runs/delete_run.py": "the same",
    "application/maintenance/retention.py": "the same",
    "application/maintenance/sweep_runs.py: stores.deleted_runs.find": "the same",
    "application/webhooks/publish_events.py": "published again after a failure: test_webhooks.py",
    "application/webhooks/deliver_webhook.py": "the same",
    "application/webhooks/redeliver.py": "the same",
    "application/webhooks/trigger_deliveries.py": "sent again after an hour: test_webhooks.py",
    "adapters/secrets.py": "the key of stream tickets",
    "application/own_code/invocation_requests.py": "a read: own_code/test_files_and_messages.py",
}

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def recordings(harness: CrashHarness) -> list[Recording]:
    """Record every scenario without a fault."""
    return record(harness)


@pytest.fixture(scope="module")
def verdicts(
    harness: CrashHarness, recordings: list[Recording], pytestconfig: pytest.Config
) -> list[Verdict]:
    """Return the verdict on every point."""
    part, _, parts = os.environ.get("CRASH_MATRIX", "").partition("/")
    points = list((all_points if part else selected_points)(recordings))
    if parts:
        points = points[int(part) - 1 :: int(parts)]
    capture, started = pytestconfig.pluginmanager.getplugin("capturemanager"), time.monotonic()
    found = []
    for number, point in enumerate(points, start=1):
        found.append(verdict(harness, point))
        if number % 100 == 0 or number == len(points):
            wrong = sum(bool(one.violations) for one in found)
            with capture.global_and_fixture_disabled():
                seconds = time.monotonic() - started
                print(f"\ncrashes: {number} of {len(points)}, {wrong} wrong, {seconds:.0f} s")  # noqa: T201
    return found


@pytest.mark.parametrize("use_case", USE_CASES)
def test_a_crash_at_any_call_leads_to_the_result_of_an_undisturbed_run(
    verdicts: Sequence[Verdict], use_case: str
) -> None:
    selected = [one for one in verdicts if one.point.fault_at.use_case == use_case]
    assert len(selected) >= 10
    assert [f"{one.point}: {one.violations}" for one in selected if one.violations] == []


def test_a_thread_write_repeated_by_boto3_is_stored_once(harness: CrashHarness) -> None:
    at = timestamp()
    thread = Thread(id=new_id(), project_id="p", org_id="o", created_at=at, updated_at=at)
    process = Process(Fault("dynamodb.PutItem thread", "after", "drop_once"))
    with harness.run_as(process):
        container.container().stores.threads.create(thread)
    assert process.fault_occurred
    assert harness.stores.threads.get(thread.id) == thread


def test_every_external_call_site_is_covered(
    recordings: Sequence[Recording], verdicts: Sequence[Verdict]
) -> None:
    lines = {line for one in recordings for line in lines_of(one.calls)}
    lines |= {line for one in verdicts for line in one.lines}
    missed = [str(site) for site in call_sites() if not site.is_in(lines)]
    unexplained = [site for site in missed if not site.startswith(tuple(ELSEWHERE))]
    assert unexplained == [], "add a scenario that reaches the call, or a reason to ELSEWHERE"
    unneeded = [name for name in ELSEWHERE if not any(site.startswith(name) for site in missed)]
    assert unneeded == []


def test_the_documented_crash_table_matches_the_results(verdicts: Sequence[Verdict]) -> None:
    if "CRASH_MATRIX" in os.environ:
        pytest.skip("the table needs each kind of call once")
    text = DOCUMENT.read_text(encoding="utf-8")
    found = document(text, table(verdicts))
    if "CRASH_TABLE" in os.environ:
        DOCUMENT.write_text(found, encoding="utf-8")
    assert found == Path(DOCUMENT).read_text(encoding="utf-8"), (
        "run `make docs-crash-table` to update the page"
    )
