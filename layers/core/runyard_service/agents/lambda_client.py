"""The client of AWS Lambda, for tools of kind `lambda` and agents in the user's own code."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, EndpointConnectionError

from runyard_service.domain.errors import FailureKind

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_CONNECT_SECONDS = 5.0
# The error codes after which the same invocation can succeed. The function has not run.
TRANSIENT_CODES: Mapping[str, FailureKind] = {
    "EC2ThrottledException": "overloaded",
    "ResourceNotReadyException": "overloaded",
    "ServiceException": "overloaded",
    "TooManyRequestsException": "rate_limited",
}


@lru_cache(maxsize=16)
def lambda_client(timeout: float) -> "LambdaClient":
    """Return a client that never repeats an invocation by itself: it could do the work twice."""
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=timeout,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=50,
    )
    return boto3.session.Session().client("lambda", config=config)


def was_sent(error: BotoCoreError) -> bool:
    """Return whether the request may have reached Lambda before this error."""
    return not isinstance(error, EndpointConnectionError | ConnectTimeoutError)
