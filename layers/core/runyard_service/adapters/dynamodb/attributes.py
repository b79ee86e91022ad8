"""DynamoDB's values and errors as Runyard's own, translated once; and the transaction."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
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
# One entry of TransactWriteItems, as boto3's client takes it.
TransactWriteItem = dict[str, Any]

# Two transactions that touch the same item at the same moment: DynamoDB cancels one, and boto3 does
# not retry a canceled transaction by itself. Ten, because a paid reply hangs on one that all runs
# under a daily cap write to.
_TRANSACTION_ATTEMPTS = 10
_LONGEST_DELAY_SECONDS = 0.5

# What no second attempt can mend: our own mistake, or the deployment's.
_REFUSALS = frozenset(
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
    """A write's condition did not hold; `items` stood there, by their place in the call."""

    def __init__(self, items: Mapping[int, Item | None]) -> None:
        super().__init__("condition failed")
        self.items = items


def to_attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB's typed attributes; fields that are None are left out."""
    return {
        name: _serializer.serialize(_without_floats(value))
        for name, value in item.items()
        if value is not None
    }


def from_attributes(attributes: Mapping[str, Any]) -> Item:
    """DynamoDB's typed attributes as plain values."""
    return {name: _deserializer.deserialize(value) for name, value in attributes.items()}


def _without_floats(value: Any) -> Any:
    # DynamoDB's numbers are decimals; a float's shortest text is the number that was meant.
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, Mapping):
        return {key: _without_floats(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_floats(inner) for inner in value]
    return value


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn boto3's errors into Runyard's."""
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
            place: _old_item(reason)
            for place, reason in enumerate(reasons)
            if reason.get("Code") == "ConditionalCheckFailed"
        }
        if failed:
            return ConditionFailedError(failed)
    return StoreRejectedError(code) if code in _REFUSALS else StoreUnavailableError(code)


def _old_item(holder: Mapping[str, Any]) -> Item | None:
    attributes = holder.get("Item")
    return from_attributes(attributes) if attributes else None


def transact(client: "DynamoDBClient", changes: Sequence[TransactWriteItem]) -> None:
    """Make all changes or none.

    Raises ConditionFailedError where a condition did not hold, StoreUnavailableError where other
    transactions were in the way time and again.
    """
    for attempt in range(_TRANSACTION_ATTEMPTS):
        try:
            with translate_errors():
                client.transact_write_items(TransactItems=changes)  # type: ignore[arg-type]
            return
        except StoreUnavailableError as error:
            if "TransactionCanceled" not in str(error) or attempt == _TRANSACTION_ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, min(0.02 * 2**attempt, _LONGEST_DELAY_SECONDS)))
