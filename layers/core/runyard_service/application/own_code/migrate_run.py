"""Move a run to another version of its agent's own code, if that code fits the log.

The other version replays the journal, and nothing that it asks for is done. The run must wait: an
active worker uses the version that it has read.
"""

from runyard_service.adapters.conflict_retry import MIGRATE_RUN_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.stores import Stores
from runyard_service.agents.code.definition import is_local_file
from runyard_service.agents.code.function import FunctionVersion, invoke, resolve_version
from runyard_service.agents.code.protocol import AgentCodeError, CodeResponse, InvalidResponseError
from runyard_service.agents.definitions.models import AgentDefinition, Snapshot
from runyard_service.application.own_code.code_journal import journal_of
from runyard_service.application.own_code.invocation_requests import InvocationRequests
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.errors import AppendConflictError, FunctionUnavailableError
from runyard_service.domain.events import NewEvent
from runyard_service.domain.history.history import History
from runyard_service.domain.request_errors import (
    ConflictError,
    InvalidRequestError,
    UnavailableError,
)

# API Gateway waits 29 seconds for the response. A replay only computes.
REPLAY_SECONDS = 15.0
_LATEST = "$LATEST"


def migrate_run(
    stores: Stores, run_id: str, version: str, prefix: str, requested_by: str
) -> FunctionVersion:
    """Let the run use `version` of its function from now on, and return it. Once is enough.

    Raise NotFoundError if there is no such run, ConflictError if it does not wait, or if the code
    does not fit its log, and InvalidRequestError if there is no such version.
    """
    for attempt in retry_on_conflict(MIGRATE_RUN_ATTEMPTS, AppendConflictError):
        journal = Journal.open(stores, run_id)
        stored = stores.definitions.get(journal.run.definition_digest)
        definition = Snapshot.from_stored(stored).definition
        _check_waits(journal, definition)
        current = FunctionVersion.from_json(journal.history.code)
        target = _find(definition, version, prefix)
        if target == current:
            return target
        _check_replay(journal, definition, target)
        data = {
            "id": run_id,
            "object": "run",
            "code": target.to_json(),
            "previous": current.to_json(),
            "requested_by": requested_by,
        }
        with attempt:
            change = stores.runs.code_change(journal.run, target.to_json())
            journal.append([NewEvent(type="run.code_changed", data=data)], [change])
            journal.close()
            return target
    raise UnavailableError({"run": "is being modified concurrently; retry"})


def _check_waits(journal: Journal, definition: AgentDefinition) -> None:
    status = journal.history.status
    if definition.kind != "code":
        raise ConflictError({"run": "has no code of its own: its agent is not of kind code"})
    if journal.history.has_ended:
        raise ConflictError({"run": f"has ended: {status}; start a new run"})
    if status != "paused":
        raise ConflictError(
            {"run": "is active; it can migrate while it waits for a person or sleeps"}
        )


def _find(definition: AgentDefinition, version: str, prefix: str) -> FunctionVersion:
    function = definition.function
    assert function is not None, "an agent of kind code has a function"
    try:
        found = resolve_version(function, version, prefix)
    except AgentCodeError as error:
        raise InvalidRequestError({"version": str(error)}) from None
    except FunctionUnavailableError as error:
        raise UnavailableError({"version": f"{error} Try again."}) from None
    if found.version == _LATEST and not is_local_file(function):
        text = f"{version!r} can change at any time: publish a version, and name it"
        raise InvalidRequestError({"version": text})
    return found


def _check_replay(journal: Journal, definition: AgentDefinition, target: FunctionVersion) -> None:
    """Raise ConflictError if this version does not do what the log has."""
    requests = InvocationRequests(journal.stores, journal.run, definition.key)
    request = requests.make(journal_of(journal.history.durable_events), REPLAY_SECONDS)
    try:
        response = invoke(target, {**request, "is_replay": True}, REPLAY_SECONDS + 5)
    except FunctionUnavailableError as error:
        raise UnavailableError({"version": f"{error} Try again."}) from None
    except (AgentCodeError, InvalidResponseError) as error:
        raise _misfit(target, str(error)) from None
    if response.error is not None:
        kind = f"{response.error.type}: " if response.error.type else ""
        raise _misfit(target, f"{kind}{response.error.message}")
    _check_open_operations(journal.history, target, response)


def _check_open_operations(
    history: History, target: FunctionVersion, response: CodeResponse
) -> None:
    """Raise ConflictError unless the code still asks for all that the log has started."""
    asked = {operation.key: operation.digest for operation in response.ops}
    for call in history.open_operations.values():
        if call.op is None:
            continue
        key, recorded = call.op["key"], call.op["digest"]
        if key not in asked and call.kind == "sleep":
            continue  # The code has canceled it, such as a reminder after the answer.
        if key not in asked:
            raise _misfit(target, f"The code does not ask for {key}, which is open.")
        if asked[key] != recorded:
            raise _misfit(
                target,
                f"The code asks for {key} with other arguments than the log has: digest"
                f" {asked[key][:12]}, recorded {recorded[:12]}.",
            )


def _misfit(target: FunctionVersion, text: str) -> ConflictError:
    return ConflictError({"version": f"{target.version} does not fit the log of the run: {text}"})
