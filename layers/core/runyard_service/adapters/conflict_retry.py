"""Repeat a conditional write that another writer made impossible.

A caller reads, decides, and writes on condition that the data has not changed since the read. A
conflict means that another writer changed the data in between. The caller then reads and decides
again at once: every conflict is another writer's success, so the data makes progress.

    for attempt in retry_on_conflict(CANCEL_RUN_ATTEMPTS, AppendConflictError):
        ...                     read and decide
        with attempt:
            ...                 write
            return
    raise UnavailableError      every attempt met a conflict
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress

from runyard_service.domain.errors import RunyardError

# How often each operation writes before it stops, and which writers it competes with.
# A worker that streams a response appends every DELTA_FLUSH_MS (50 ms): a cancel has to fit between
# two appends.
CANCEL_RUN_ATTEMPTS = 50
# People can answer several input requests of one run in the same moment.
SUBMIT_INPUT_ATTEMPTS = 40
# Clients can add messages to one thread in the same moment.
ADD_MESSAGE_ATTEMPTS = 40
# Messages and other runs can reach the thread while the run starts in it.
START_RUN_IN_THREAD_ATTEMPTS = 20
# Messages can reach the thread while its run ends.
END_RUN_IN_THREAD_ATTEMPTS = 20
# The execution has ended, so only a cancel, an answer or a late worker still appends.
CLOSE_RUN_ATTEMPTS = 20
# Requests with the same key can claim it in the same moment, but only after its record expired.
CLAIM_IDEMPOTENCY_KEY_ATTEMPTS = 10
# Several batches of ended runs can be counted in the same moment.
COUNT_RUNS_ATTEMPTS = 40
# An operator rotates a secret: two rotations in the same moment are rare.
ROTATE_SECRET_ATTEMPTS = 5


def retry_on_conflict(
    attempts: int, conflict: type[RunyardError]
) -> Iterator[AbstractContextManager[None, bool]]:
    """Yield a context for each attempt. It suppresses `conflict`, the error of a lost write.

    The loop ends after `attempts`. What follows the loop then decides which error to raise.
    """
    for _ in range(attempts):
        yield suppress(conflict)
