"""Check all runs of an installation: each log, and the records that must agree with it."""

from collections import Counter

import click

from runyard.verify import find_violations, summarize
from runyard_service.adapters.stores import Stores
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run


def verify_stores(stores: Stores) -> int:
    """Check every run and print its violations. Return the number of runs with violations."""
    statuses: Counter[str] = Counter()
    violated = events = 0
    for run_id in sorted(stores.runs.ids() | stores.log.run_ids()):
        statuses[_status(stores, run_id)] += 1
        events += stores.log.last(run_id)[0]
        violations = find_run_violations(stores, run_id)
        violated += bool(violations)
        for violation in violations:
            click.echo(f"{run_id}: {violation}")
    click.echo(summarize(statuses, events, violated))
    return violated


def find_run_violations(stores: Stores, run_id: str) -> list[str]:
    """Return what is wrong with the run's log, record and thread, one sentence for each."""
    run = stores.runs.get(run_id)
    if run is None and stores.deleted_runs.find(run_id) is not None:
        return []  # A deletion removes the parts in any order.
    events = list(stores.log.events(run_id))
    violations = find_violations([event._asdict() for event in events])
    if run is None:
        return [*violations, "there are events and no run"]
    if violations:
        return violations
    history = History.of(events)
    if run.status != history.status:
        violations.append(f"the record says {run.status}, the log says {history.status}")
    # All requests of the run, not only those of the newest pause.
    requests = stores.input_requests.of_run(run_id)
    open_requests = sum(request.state == "open" for request in requests)
    if open_requests != run.open_requests:
        violations.append(f"{open_requests} requests are open, the record says {run.open_requests}")
    if not history.has_ended and open_requests != len(history.open_requests):
        logged = len(history.open_requests)
        violations.append(f"{open_requests} requests are open, the log says {logged}")
    if run.thread_id is not None:
        violations += _find_thread_violations(stores, run, run.thread_id)
    return violations


def _find_thread_violations(stores: Stores, run: Run, thread_id: str) -> list[str]:
    """A thread names its active run, and contains one answer of each completed run."""
    thread = stores.threads.get(thread_id)
    if thread is None:  # A thread can only be deleted while it has no active run.
        return [] if run.has_ended else ["the run is active in a thread that does not exist"]
    violations = []
    if (thread.active_run_id == run.id) == run.has_ended:
        violations.append(f"the run is {run.status}, its thread names {thread.active_run_id}")
    messages = stores.messages.read(thread.id, run.thread_messages, thread.messages)
    answers = sum(message.run_id == run.id for message in messages)
    if answers != (run.status == "completed"):
        violations.append(f"the run is {run.status}, its thread has {answers} answers of it")
    return violations


def _status(stores: Stores, run_id: str) -> str:
    if (run := stores.runs.get(run_id)) is not None:
        return run.status
    return "deleted" if stores.deleted_runs.find(run_id) else "missing"
