"""Convert DynamoDB's values and errors, and execute transactions."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from runyard_service.domain.errors import RunyardError, StoreRejectedError, StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Key = Mapping[str, str | int]
Item = dict[str, Any]
# An entry of TransactWriteItems, in the format of boto3's client.
TransactWriteItem = dict[str, Any]

# If two concurrent transactions write the same item, DynamoDB cancels one of them. It also
# rejects a single write of an item while a transaction writes it. boto3 retries neither. Ten
# attempts, because all runs under a daily cap write to its ledger, and a failure would lose a
# response that is already paid for.
_TRANSACTION_ATTEMPTS = 10
_TRANSACTION_CONFLICTS = ("TransactionCanceledException", "TransactionConflictException")
_LONGEST_DELAY_SECONDS = 0.5

# A repeated call fails again: the code or the deployment is wrong.
_REJECTION_CODES = frozenset(
    {"ValidationException", "ResourceNotFoundException", "AccessDeniedException", "AccessDenied"}
    | {
        "NoSuchBucket",
        "NoSuchKey",
        "UnrecognizedClientException",
        "ItemCollectionSizeLimitExceeded",
    }
)

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class ConditionFailedError(RunyardError):
    """The condition of a write did not hold; `items` has the stored items by index in the call."""

    def __init__(self, items: Mapping[int, Item | None]) -> None:
        super().__init__("condition failed")
        self.items = items


def to_attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return DynamoDB's typed attributes of plain values, without fields that are None."""
    return {
        name: _serializer.serialize(_without_floats(value))
        for name, value in item.items()
        if value is not None
    }


def from_attributes(attributes: Mapping[str, Any]) -> Item:
    """Return the plain values of DynamoDB's typed attributes."""
    return {name: _deserializer.deserialize(value) for name, value in attributes.items()}


def _without_floats(value: Any) -> Any:
    # DynamoDB's numbers are decimals. A float's shortest text is the intended number.
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, Mapping):
        return {key: _without_floats(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_floats(inner) for inner in value]
    return value


@contextmanager
def translate_errors() -> Iterator[None]:
    """Return a context that translates boto3's errors into Runyard's errors."""
    try:
        yield
    except ClientError as error:
        raise _translate(error) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(type(error).__name__) from error


def _translate(error: ClientError) -> RunyardError:
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError({0: _old_item(error.response)})
    if code == "TransactionCanceledException":
        reasons: Any = error.response.get("CancellationReasons", [])
        failed = {
            index: _old_item(reason)
            for index, reason in enumerate(reasons)
            if reason.get("Code") == "ConditionalCheckFailed"
        }
        if failed:
            return ConditionFailedError(failed)
        if invalid := [reason for reason in reasons if reason.get("Code") == "ValidationError"]:
            return StoreRejectedError(str(invalid[0].get("Message", code)))
    return StoreRejectedError(code) if code in _REJECTION_CODES else StoreUnavailableError(code)


def _old_item(reason: Mapping[str, Any]) -> Item | None:
    attributes = reason.get("Item")
    return from_attributes(attributes) if attributes else None


def transact(client: "DynamoDBClient", changes: Sequence[TransactWriteItem]) -> None:
    """Write all changes or none.

    Raises ConditionFailedError if a condition does not hold, StoreUnavailableError if other
    transactions conflict with every attempt.
    """
    entries: Any = changes
    retry_transaction_conflicts(lambda: client.transact_write_items(TransactItems=entries))


def retry_transaction_conflicts(write: Callable[[], Any]) -> Any:
    """Return the response of a write; repeat the write while transactions conflict with it.

    DynamoDB has not executed a write that it rejects for a conflict. Raises StoreUnavailableError
    after the last attempt, and the errors of `translate_errors`.
    """
    for attempt in range(_TRANSACTION_ATTEMPTS - 1):
        try:
            with translate_errors():
                return write()
        except StoreUnavailableError as error:
            if str(error) not in _TRANSACTION_CONFLICTS:
                raise
            time.sleep(random.uniform(0, min(0.02 * 2**attempt, _LONGEST_DELAY_SECONDS)))
    with translate_errors():
        return write()
