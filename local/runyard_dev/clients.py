"""boto3 clients for the emulators, made from the stack's environment, not this process's."""

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

_ENDPOINT_OF = {
    "dynamodb": "AWS_ENDPOINT_URL_DYNAMODB",
    "dynamodbstreams": "AWS_ENDPOINT_URL_DYNAMODB",
    "events": "AWS_ENDPOINT_URL_EVENTBRIDGE",
    "stepfunctions": "AWS_ENDPOINT_URL_SFN",
    "s3": "AWS_ENDPOINT_URL_S3",
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "sqs": "AWS_ENDPOINT_URL_SQS",
    "lambda": "AWS_ENDPOINT_URL_LAMBDA",
}
# Every variable that says where an emulator is.
ENDPOINTS = tuple(sorted(set(_ENDPOINT_OF.values())))


def client(service: str, environment: Mapping[str, str]) -> Any:
    """Return a client with a session of its own. Threads cannot share boto3's default session."""
    key = environment.get("AWS_ACCESS_KEY_ID")
    session = boto3.Session(
        aws_access_key_id=key,
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        profile_name=None if key else environment.get("AWS_PROFILE"),
        region_name=environment["AWS_REGION"],
    )
    create: Any = session.client
    return create(
        service,
        endpoint_url=environment[_ENDPOINT_OF[service]],
        config=Config(
            proxies={},  # A proxy of the environment cannot reach loopback.
            connect_timeout=5,
            max_pool_connections=64,
            retries={"total_max_attempts": 3},
            # dynoxide's shards have shorter names than boto3 accepts.
            parameter_validation=service != "dynamodbstreams",
        ),
    )
