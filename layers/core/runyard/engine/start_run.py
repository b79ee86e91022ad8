"""Start a run: record it, then start the execution that carries it.

Once recorded, a run is accepted: should the execution fail to start, the sweep starts it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runyard.agent.definition import Snapshot
from runyard.agent.schemas import faults_of
from runyard.domain.clock import stamp
from runyard.domain.errors import InvalidRequestError, RetryableError
from runyard.domain.ids import derived_id, new_id
from runyard.domain.runs import Run
from runyard.engine.orchestrator import Orchestrator
from runyard.store.stores import Stores

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewRun:
    """What a caller asks for, and on whose behalf."""

    org_id: str
    project_id: str
    input: Mapping[str, Any]
    user_id: str | None = None
    session_id: str | None = None


def start_run(
    stores: Stores, orchestrator: Orchestrator, snapshot: Snapshot, wanted: NewRun
) -> Run:
    """Record a run of this agent and set it going.

    Raises InvalidRequestError, and leaves nothing behind, where the input does not fit the agent.
    """
    faults = faults_of(snapshot.definition.input_schema, wanted.input, under="input")
    if faults:
        raise InvalidRequestError(faults)
    run = Run(
        id=new_id(),
        project_id=wanted.project_id,
        org_id=wanted.org_id,
        app_id=derived_id("app", wanted.project_id, snapshot.definition.key),
        agent=snapshot.name,
        definition_digest=stores.definitions.keep(snapshot.model_dump(mode="json")),
        input=wanted.input,
        user_id=wanted.user_id,
        session_id=wanted.session_id,
        started_at=stamp(),
    )
    stores.runs.create(run)
    try:
        orchestrator.start(run)
    except RetryableError:
        _log.exception("execution not started; the sweep will start it", extra={"run_id": run.id})
    return run
