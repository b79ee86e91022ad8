"""The keys that tickets are signed with: a secret in Secrets Manager, and the one before it.

A rotation puts a new secret, and Secrets Manager itself keeps the one before under `AWSPREVIOUS`.
Processes learn of it one by one, and still take each other's tickets:

    rotation     current k2, previous k1
    process A    read before it: has k1, and signs with it for REFRESH_SECONDS at the most
    process B    reads k2 and k1: signs with k2, and knows A's tickets
    process A    is shown a ticket of k2, which it does not know: it reads again, and knows it

The one before counts only as long as a ticket of it can be good. Its key is worth nothing then.
"""

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.domain.errors import ConflictError, RunyardError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import GetSecretValueResponseTypeDef

_log = logging.getLogger(__name__)

TICKET_SECONDS = 300
"""How long a ticket is good."""
REFRESH_SECONDS = 300
"""How old what a process knows may be when it signs."""
MAX_READS, READS_SECONDS = 5, 30
"""A process reads so often in so many seconds: strangers can make up the names of keys."""
OVERLAP_SECONDS = REFRESH_SECONDS + TICKET_SECONDS + 60
"""How long the secret before counts; the last minute is for clocks that differ."""


@dataclass(frozen=True)
class TicketKey:
    """What signs. The id is made from the secret, and does not tell it."""

    secret: str = field(repr=False)

    @property
    def id(self) -> str:
        """12 hexadecimal digits, the same in every process."""
        return self.sign("the id of this key")[:12]

    def sign(self, text: str) -> str:
        """The HMAC-SHA256 of the text, as 64 hexadecimal digits."""
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class _Ring:
    """The keys as they were read; the monotonic clock said `read_at` before."""

    signing: TicketKey
    known: Mapping[str, TicketKey]
    previous: str
    """The id of the key before; it is in `known`. Empty where there is none."""
    previous_until: float
    """Unix time."""
    read_at: float


class TicketKeys:
    """The keys of one installation; one instance may serve several threads."""

    def __init__(self, connect: "Callable[[], SecretsManagerClient]", secret_id: str) -> None:
        """`connect` makes the client when it is first needed: few requests have a ticket."""
        self._connect = connect
        self._secret_id = secret_id
        self._reading = threading.Lock()
        self._ring: _Ring | None = None
        self._reads: deque[float] = deque(maxlen=MAX_READS)

    def signing(self) -> TicketKey:
        """The key to sign with.

        Raises StoreUnavailableError or StoreRefusedError where none was ever read.
        """
        return self._fresh().signing

    def find(self, key_id: str) -> TicketKey | None:
        """The key of this id, if it still counts. Raises as `signing` does."""
        ring = self._fresh()
        if key_id not in ring.known:
            ring = self._newer_than(ring)
        if key_id == ring.previous and time.time() >= ring.previous_until:
            return None
        return ring.known.get(key_id)

    def _fresh(self) -> _Ring:
        ring = self._ring
        if ring and time.monotonic() - ring.read_at < REFRESH_SECONDS:
            return ring
        return self._newer_than(ring)

    def _newer_than(self, ring: _Ring | None) -> _Ring:
        """What another thread has read meanwhile, or is read now; the same where it may not be."""
        with self._reading:
            if self._ring and (self._ring is not ring or not self._may_read()):
                return self._ring
            self._reads.append(time.monotonic())
            try:
                self._ring = self._read()
            except RunyardError as error:
                if self._ring is None:
                    raise
                # What is known serves on: at worst a ticket of a new key is refused.
                _log.warning("ticket keys not read again", exc_info=error)
            return self._ring

    def _may_read(self) -> bool:
        return len(self._reads) < MAX_READS or time.monotonic() - self._reads[0] >= READS_SECONDS

    def _read(self) -> _Ring:
        read_at = time.monotonic()
        with translate_errors():
            # In this order: a rotation in between leaves out the new key, which is found when it is
            # first seen. In the other, it would leave out the one that tickets are signed with.
            current = self._client.get_secret_value(SecretId=self._secret_id)
            previous = self._previous()
        signing = TicketKey(current["SecretString"])
        known, previous_id = {signing.id: signing}, ""
        if previous and previous["SecretString"] != signing.secret:
            before = TicketKey(previous["SecretString"])
            known[before.id], previous_id = before, before.id
        until = current["CreatedDate"].timestamp() + OVERLAP_SECONDS
        return _Ring(signing, known, previous_id, until, read_at)

    @cached_property
    def _client(self) -> "SecretsManagerClient":
        return self._connect()

    def _previous(self) -> "GetSecretValueResponseTypeDef | None":
        try:
            return self._client.get_secret_value(
                SecretId=self._secret_id, VersionStage="AWSPREVIOUS"
            )
        except self._client.exceptions.ResourceNotFoundException:
            return None  # It was never rotated.


def rotate(client: "SecretsManagerClient", secret_id: str, *, at_once: bool = False) -> None:
    """Put a new secret; tickets of the present one stay good until they expire.

    Those of the one before it are refused, so that two rotations need OVERLAP_SECONDS between them:
    raises ConflictError before, unless it is to be done `at_once`.
    """
    with translate_errors():
        described = client.get_secret_value(SecretId=secret_id)
        age = time.time() - described["CreatedDate"].timestamp()
        if age < OVERLAP_SECONDS and not at_once:
            left = int(OVERLAP_SECONDS - age) + 1
            raise ConflictError({"secret": f"is new; tickets of the one before last {left} s more"})
        client.put_secret_value(SecretId=secret_id, SecretString=secrets.token_urlsafe(48))
