"""The client with which moto's state machines call the local Lambda endpoint."""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


class LambdaTasks:
    """The Lambda client of all executions. It has many connections and does not retry."""

    def __init__(self, endpoint: str, region: str) -> None:
        """Create the client, which connects at its first call. Any credentials are valid."""
        self._client = boto3.client(
            "lambda",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(
                max_pool_connections=512,
                retries={"total_max_attempts": 1},  # The state machine's retry list decides.
                connect_timeout=5,
                read_timeout=905,  # Lambda's longest timeout, and 5 s for the response.
                proxies={},
                parameter_validation=False,
            ),
        )

    def invoke(self, **arguments: Any) -> Any:
        """Invoke a function. Report a lost connection with the error name of Step Functions."""
        try:
            return self._client.invoke(**arguments)
        except BotoCoreError as exc:
            error = {"Code": "SdkClientException", "Message": str(exc)}
            metadata = {"HTTPStatusCode": 0, "RequestId": ""}
            raise ClientError(
                {"Error": error, "ResponseMetadata": metadata},  # type: ignore[typeddict-item]
                "Invoke",
            ) from exc
