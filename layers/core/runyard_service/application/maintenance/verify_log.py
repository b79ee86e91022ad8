"""Prove of a log that it is whole: dense from 1, at most one terminal event and that one last.

And of its run that record and log agree, and its thread with both.
"""

from runyard_service.adapters.stores import Stores
from runyard_service.domain.events import TERMINAL_TYPES, Event
from runyard_service.domain.history import History
from runyard_service.domain.runs import Run


def faults_of_run(stores: Stores, run_id: str) -> list[str]:
    """What is wrong with the run's log and record; empty where all is well."""
    run = stores.runs.get(run_id)
    if run is None and stores.deleted_runs.find(run_id) is not None:
        return []  # What is left of it may be any part.
    events = list(stores.log.events(run_id))
    faults = _faults_of_log(events)
    if run is None:
        return [*faults, "there are events and no run"]
    if faults:
        return faults
    history = History.of(events)
    if run.status != history.status:
        faults.append(f"the record says {run.status}, the log says {history.status}")
    # All that were ever asked, and not only those of the newest pause.
    requests = stores.input_requests.of_run(run_id)
    open_requests = sum(request.state == "open" for request in requests)
    if open_requests != run.open_requests:
        faults.append(f"{open_requests} requests are open, the record says {run.open_requests}")
    if not history.has_ended and open_requests != len(history.open_requests):
        asked = len(history.open_requests)
        faults.append(f"{open_requests} requests are open, the log says {asked}")
    if run.thread_id is not None:
        faults += _faults_of_thread(stores, run)
    return faults


def _faults_of_thread(stores: Stores, run: Run) -> list[str]:
    """A thread knows the run that is at work in it, and has the answer of one that was."""
    assert run.thread_id is not None
    thread = stores.threads.get(run.thread_id)
    if thread is None:  # It was deleted, which only a thread with no run at work can be.
        return [] if run.has_ended else ["the run is at work in a thread that is not there"]
    faults = []
    if (thread.active_run_id == run.id) == run.has_ended:
        faults.append(f"the run is {run.status}, its thread names {thread.active_run_id}")
    messages = stores.messages.read(thread.id, run.thread_messages, thread.messages)
    answers = sum(message.run_id == run.id for message in messages)
    if answers != (run.status == "completed"):
        faults.append(f"the run is {run.status}, its thread has {answers} answers of it")
    return faults


def _faults_of_log(events: list[Event]) -> list[str]:
    faults = []
    sequences = [event.sequence for event in events]
    if sequences != list(range(1, len(events) + 1)):
        faults.append(f"sequences are not dense from 1: {sequences[:200]}")
    if len({event.id for event in events}) != len(events):
        faults.append("an event id stands twice")
    ends = [event.sequence for event in events if event.type in TERMINAL_TYPES]
    if len(ends) > 1:
        faults.append(f"there are {len(ends)} terminal events")
    if ends and ends[0] != len(events):
        faults.append(f"events follow the terminal event {ends[0]}")
    return faults
