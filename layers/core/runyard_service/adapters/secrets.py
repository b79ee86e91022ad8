"""The keys that sign tickets: the current secret in Secrets Manager, and the previous secret.

A rotation writes a new secret. Secrets Manager retains the previous secret as `AWSPREVIOUS`.
Processes read the new secret at different times, and still accept each other's tickets:

    rotation     current k2, previous k1
    process A    read before the rotation: has k1, and signs with it for at most REFRESH_SECONDS
    process B    reads k2 and k1: signs with k2, and accepts A's tickets
    process A    receives a ticket of k2, which it does not know: reads again, and accepts it

The previous key is accepted only while a ticket that it signed can be valid, and is useless later.
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
from runyard_service.domain.errors import RunyardError
from runyard_service.domain.request_errors import ConflictError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import GetSecretValueResponseTypeDef

_log = logging.getLogger(__name__)

TICKET_SECONDS = 300
"""How long a ticket is valid."""
REFRESH_SECONDS = 300
"""Maximum age of a process's keys when it signs."""
MAX_READS, READS_SECONDS = 5, 30
"""A process reads at most MAX_READS times in READS_SECONDS: a stranger can invent ids of keys."""
OVERLAP_SECONDS = REFRESH_SECONDS + TICKET_SECONDS + 60
"""How long the previous secret is accepted; the last minute is for clocks that differ."""


@dataclass(frozen=True)
class TicketKey:
    """A signing key. Its id is derived from the secret, and does not reveal it."""

    secret: str = field(repr=False)

    @property
    def id(self) -> str:
        """Return 12 hexadecimal digits, the same in every process."""
        return self.sign("the id of this key")[:12]

    def sign(self, text: str) -> str:
        """Return the HMAC-SHA256 of the text as 64 hexadecimal digits."""
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class _Ring:
    """The keys of a read; `read_at` is the monotonic time before the read."""

    signing: TicketKey
    known: Mapping[str, TicketKey]
    previous: str
    """The id of the previous key, which is in `known`; empty if there is no previous key."""
    previous_until: float
    """Unix time."""
    read_at: float


class TicketKeys:
    """The keys of an installation. Threads may share an instance."""

    def __init__(self, connect: "Callable[[], SecretsManagerClient]", secret_id: str) -> None:
        """Call `connect` for a client at first use, because few requests have a ticket."""
        self._connect = connect
        self._secret_id = secret_id
        self._reading = threading.Lock()
        self._ring: _Ring | None = None
        self._reads: deque[float] = deque(maxlen=MAX_READS)

    def signing(self) -> TicketKey:
        """Return the key to sign with.

        Raises StoreUnavailableError or StoreRejectedError if no read has ever succeeded.
        """
        return self._fresh_ring().signing

    def find(self, key_id: str) -> TicketKey | None:
        """Return the key of this id if it is still accepted, else None. Raises like `signing`."""
        ring = self._fresh_ring()
        if key_id not in ring.known:
            ring = self._replace_ring(ring)
        if key_id == ring.previous and time.time() >= ring.previous_until:
            return None
        return ring.known.get(key_id)

    def _fresh_ring(self) -> _Ring:
        ring = self._ring
        if ring and time.monotonic() - ring.read_at < REFRESH_SECONDS:
            return ring
        return self._replace_ring(ring)

    def _replace_ring(self, ring: _Ring | None) -> _Ring:
        """Return newer keys: read by another thread, or read now if the limit of reads allows."""
        with self._reading:
            if self._ring and (self._ring is not ring or not self._may_read()):
                return self._ring
            self._reads.append(time.monotonic())
            try:
                self._ring = self._read()
            except RunyardError as error:
                if self._ring is None:
                    raise
                # Continue with the known keys. At worst, a ticket of a new key is rejected.
                _log.warning("ticket keys not read again", exc_info=error)
            return self._ring

    def _may_read(self) -> bool:
        return len(self._reads) < MAX_READS or time.monotonic() - self._reads[0] >= READS_SECONDS

    def _read(self) -> _Ring:
        read_at = time.monotonic()
        with translate_errors():
            # The order matters. A rotation between the reads only misses the new key, and the first
            # ticket of that key triggers another read. In the other order, it would miss the key
            # that signs current tickets.
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
    """Write a new secret; tickets of the current secret stay valid until they expire.

    Tickets of the previous secret are rejected, so OVERLAP_SECONDS must pass between two rotations.
    Raises ConflictError before that time, unless `at_once` is True.
    """
    with translate_errors():
        current = client.get_secret_value(SecretId=secret_id)
        age = time.time() - current["CreatedDate"].timestamp()
        if age < OVERLAP_SECONDS and not at_once:
            left = int(OVERLAP_SECONDS - age) + 1
            raise ConflictError(
                {"secret": f"is new; tickets of the previous secret are valid for {left} s more"}
            )
        client.put_secret_value(SecretId=secret_id, SecretString=secrets.token_urlsafe(48))
