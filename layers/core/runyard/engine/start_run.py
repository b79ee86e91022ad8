"""Start a run: record it, then start the execution that carries it.

Once recorded, a run is accepted: should the execution fail to start, the sweep starts it.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from runyard.agent.definition import Snapshot
from runyard.agent.schemas import faults_of
from runyard.domain.clock import stamp
from runyard.domain.errors import (
    ConflictError,
    InvalidRequestError,
    RetryableError,
    TooManyRequestsError,
)
from runyard.domain.ids import derived_id, new_id
from runyard.domain.runs import Run
from runyard.engine.orchestrator import Orchestrator
from runyard.store.files import NewFile, UnusableFileError
from runyard.store.stores import Stores

_log = logging.getLogger(__name__)

_FILES_AT_ONCE = 10


@dataclass(frozen=True)
class NewRun:
    """What a caller asks for, and on whose behalf.

    The agent gets the files that are named by `file_ids`, and those that come with the request.
    With a `run_id`, asking again for the same run starts nothing new.
    """

    org_id: str
    project_id: str
    input: Mapping[str, Any]
    user_id: str | None = None
    session_id: str | None = None
    file_ids: Sequence[str] = ()
    uploads: Sequence[NewFile] = ()
    run_id: str | None = None
    max_live_runs: int = 0
    """How many runs of the project may be at work at once; 0: any number."""


def start_run(
    stores: Stores, orchestrator: Orchestrator, snapshot: Snapshot, wanted: NewRun
) -> Run:
    """Record a run of this agent and set it going; one that is recorded already is set going.

    Raises InvalidRequestError, and leaves nothing behind, where the input does not fit the agent or
    the project does not have a file; TooManyRequestsError where its runs at work are too many.
    """
    if wanted.run_id and (found := stores.runs.get(wanted.run_id)):
        return _set_going(orchestrator, found)
    faults = faults_of(snapshot.definition.input_schema, wanted.input, under="input")
    if faults:
        raise InvalidRequestError(faults)
    file_ids = _ready_files(stores, wanted)
    if not stores.live_runs.admits(wanted.project_id, wanted.max_live_runs):
        raise TooManyRequestsError({"project": f"has {wanted.max_live_runs} runs at work already"})
    # Only now, when nothing is left that could be refused: files are never deleted.
    file_ids += [stores.files.keep(wanted.project_id, upload).id for upload in wanted.uploads]
    run = Run(
        id=wanted.run_id or new_id(),
        project_id=wanted.project_id,
        org_id=wanted.org_id,
        app_id=derived_id("app", wanted.project_id, snapshot.definition.key),
        agent=snapshot.name,
        definition_digest=stores.definitions.keep(snapshot.model_dump(mode="json")),
        input=wanted.input,
        user_id=wanted.user_id,
        session_id=wanted.session_id,
        file_ids=tuple(file_ids),
        started_at=stamp(),
    )
    try:
        stores.runs.create(run)
    except ConflictError:
        # A twin of this call was first.
        found = stores.runs.get(run.id)
        assert found is not None, "runs are not deleted"
        run = found
    return _set_going(orchestrator, run)


def _ready_files(stores: Stores, wanted: NewRun) -> list[str]:
    """The ids of the named files, each once; every one that cannot be used is named."""

    def fault(file_id: str) -> str | None:
        try:
            stores.files.ready(wanted.project_id, file_id)
        except UnusableFileError as error:
            return str(error)
        return None

    file_ids = list(dict.fromkeys(wanted.file_ids))
    if not file_ids:
        return []
    # At once: the first use of a large file copies it, which takes S3 a second or more.
    with ThreadPoolExecutor(_FILES_AT_ONCE) as threads:
        found = dict(zip(file_ids, threads.map(fault, file_ids), strict=True))
    faults = {
        f"file_ids.{n}": text for n, id_ in enumerate(wanted.file_ids) if (text := found[id_])
    }
    if faults:
        raise InvalidRequestError(faults)
    return file_ids


def _set_going(orchestrator: Orchestrator, run: Run) -> Run:
    """Start the run's first execution, once whatever the number of calls."""
    if run.status == "created":
        try:
            orchestrator.start(run)
        except RetryableError:
            _log.exception(
                "execution not started; the sweep will start it", extra={"run_id": run.id}
            )
    return run
