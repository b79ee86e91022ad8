"""Inject what DynamoDB returns under load, into the DynamoDB calls of this process.

    with injected("conflict", times=2, operation="PutItem"):
        ...                                     the next two PutItem conflict with a transaction

RUNYARD_DYNAMODB_FAULTS=<seed>:<rate>, for example 7:0.1, injects all faults at this rate into this
process and its child processes. Two successive calls of a thread never both get such a fault.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from botocore.awsrequest import AWSResponse

from tests.support.servers.strict_dynamodb.http_exchange import DynamoDbCall
from tests.support.servers.strict_dynamodb.late_index import LateIndex
from tests.support.servers.strict_dynamodb.partial_responses import leave_unprocessed, shorten_page

RATE_VARIABLE = "RUNYARD_DYNAMODB_FAULTS"
FaultKind = Literal["conflict", "throttle", "key_throttle", "unprocessed", "short_page"]
Inject = Callable[[DynamoDbCall], AWSResponse | None]

_READS = ("GetItem", "BatchGetItem", "Query", "Scan")
_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
_TRANSACTION_CONFLICT = "Transaction is ongoing for the item"
_TABLE_THROUGHPUT = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)
_KEY_THROUGHPUT = (
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically "
    "scaling your table or index so please try again shortly. If exceptions persist, check if you "
    "have a hot key."
)


def _conflict(call: DynamoDbCall) -> AWSResponse | None:
    if call.operation == "TransactWriteItems":
        return _cancel_first(call, "TransactionConflict", _TRANSACTION_CONFLICT)
    return call.reject("TransactionConflictException", _TRANSACTION_CONFLICT)


def _throttle(call: DynamoDbCall) -> AWSResponse | None:
    if call.operation == "TransactWriteItems":
        return _cancel_first(call, "ProvisionedThroughputExceeded", _TABLE_THROUGHPUT)
    return call.reject("ProvisionedThroughputExceededException", _TABLE_THROUGHPUT)


def _key_throttle(call: DynamoDbCall) -> AWSResponse | None:
    if call.operation == "TransactWriteItems":
        return _cancel_first(call, "ThrottlingError", _KEY_THROUGHPUT)
    return call.reject("ThrottlingException", _KEY_THROUGHPUT)


def _cancel_first(call: DynamoDbCall, code: str, message: str) -> AWSResponse:
    others = [{"Code": "None"} for _ in call.body["TransactItems"][1:]]
    return call.cancel([{"Code": code, "Message": message}, *others])


_FAULTS: dict[FaultKind, tuple[tuple[str, ...], Inject]] = {
    "conflict": ((*_WRITES, "TransactWriteItems"), _conflict),
    "throttle": ((*_READS, *_WRITES, "BatchWriteItem", "TransactWriteItems"), _throttle),
    "key_throttle": ((*_READS, *_WRITES, "BatchWriteItem", "TransactWriteItems"), _key_throttle),
    "unprocessed": (("BatchGetItem", "BatchWriteItem"), leave_unprocessed),
    "short_page": (("Query", "Scan"), shorten_page),
}


@dataclass
class InjectedFault:
    """A fault of a test; `hits` is how often it happened."""

    kind: FaultKind
    times: int
    operation: str | None
    key: str
    """Only requests with this text get the fault."""
    hits: int = 0

    def applies_to(self, call: DynamoDbCall) -> bool:
        """Return whether the call gets the fault, and count it."""
        operations, _ = _FAULTS[self.kind]
        if call.operation not in operations or self.operation not in (None, call.operation):
            return False
        if self.hits >= self.times or self.key.encode() not in call.request.body:
            return False
        self.hits += 1
        return True


@dataclass
class _RandomFaults:
    """Faults at a rate, in an order that the seed determines for each process."""

    rate: float
    random: random.Random
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.local = field(default_factory=threading.local)

    def choose(self, call: DynamoDbCall) -> Inject | None:
        """Return the fault of this call, if it gets one."""
        if getattr(self._thread, "failed", False):
            self._thread.failed = False
            return None
        suitable = [
            inject for operations, inject in _FAULTS.values() if call.operation in operations
        ]
        with self._lock:
            if not suitable or self.random.random() >= self.rate:
                return None
            self._thread.failed = True
            return self.random.choice(suitable)


_injected: list[InjectedFault] = []
_late_indexes: list[LateIndex] = []
_at_rate: list[_RandomFaults] = []


@contextmanager
def injected(
    kind: FaultKind, *, times: int = 1, operation: str | None = None, key: str = ""
) -> Iterator[InjectedFault]:
    """Inject the fault into the next `times` suitable calls of this process, in all threads."""
    fault = InjectedFault(kind, times, operation, key)
    _injected.append(fault)
    try:
        yield fault
    finally:
        _injected.remove(fault)


@contextmanager
def late_index_entries(seconds: float) -> Iterator[LateIndex]:
    """Hide index entries of items that this process wrote less than `seconds` ago."""
    late = LateIndex(seconds)
    _late_indexes.append(late)
    try:
        yield late
    finally:
        _late_indexes.remove(late)


def inject_at_rate(setting: str) -> None:
    """Inject faults as `<seed>:<rate>` says, until this process ends."""
    seed, _, rate = setting.partition(":")
    _at_rate[:] = [_RandomFaults(float(rate), random.Random(seed))]


def response_to(call: DynamoDbCall) -> AWSResponse | None:
    """Return the response of a fault, or None to let botocore send the call."""
    for fault in _injected:
        if fault.applies_to(call):
            return _FAULTS[fault.kind][1](call)
    for faults in _at_rate:
        if inject := faults.choose(call):
            return inject(call)
    for late in _late_indexes:
        if response := late.response_to(call):
            return response
    return None
