"""The IAM actions that an AWS call needs, with their resources, as the service checks them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from runyard_dev.template.cloudformation import ACCOUNT_ID, DEFAULT_REGION

Parameters = Mapping[str, Any]

_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
# Operations whose action has another name: all parts of a large upload need the same action.
_S3_ACTIONS = {
    "HeadObject": "GetObject",
    "DeleteObjects": "DeleteObject",
    "ListObjectsV2": "ListBucket",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "PostObject": "PutObject",
}
_SQS_ACTIONS = {"SendMessageBatch": "SendMessage"}
_BEDROCK_ACTIONS = {
    "Converse": "InvokeModel",
    "ConverseStream": "InvokeModelWithResponseStream",
}
# Prefixes of inference profiles, which select the region of a model.
_PROFILES = ("us.", "eu.", "apac.", "global.")
_ARN = f"{DEFAULT_REGION}:{ACCOUNT_ID}"


@dataclass(frozen=True)
class RequiredAction:
    """An action on the resource of this ARN, and the part of the resource that it uses.

    `part` is the partition key of a table or an index, or the prefix of a bucket's list.
    """

    action: str
    resource: str
    part: str = ""


def required_actions(service: str, operation: str, params: Parameters) -> Iterator[RequiredAction]:
    """Return the actions that a call needs; `service` is its id in botocore.

    Raise LookupError for an unknown service.
    """
    return _SERVICES[service](operation, params)


def _dynamodb(operation: str, params: Parameters) -> Iterator[RequiredAction]:
    if operation == "TransactWriteItems":
        for change in params["TransactItems"]:
            for kind, part in change.items():
                key = part.get("Key") or part["Item"]
                yield _on_table(_TRANSACTION[kind], part["TableName"], key)
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        for table, requested in params["RequestItems"].items():
            for key in (
                requested["Keys"] if operation == "BatchGetItem" else map(_written_key, requested)
            ):
                yield _on_table(operation, table, key)
    elif operation == "TransactGetItems":
        for item in params["TransactItems"]:
            yield _on_table("GetItem", item["Get"]["TableName"], item["Get"]["Key"])
    else:
        index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
        key = params.get("Key") or params.get("Item") or _query_key(params)
        yield _on_table(operation, params["TableName"] + index, key)


def _query_key(params: Parameters) -> Mapping[str, Any]:
    """Return the partition key of a query: the first equality of its condition."""
    found = re.match(r"#?\w+ = (:\w+)", params["KeyConditionExpression"])
    assert found, "every query begins with its partition key"
    return {"pk": params["ExpressionAttributeValues"][found.group(1)]}


def _written_key(request: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (
        request["DeleteRequest"]["Key"]
        if "DeleteRequest" in request
        else request["PutRequest"]["Item"]
    )
    return found


def _on_table(action: str, table: str, key: Mapping[str, Any]) -> RequiredAction:
    # The log's partition key is the run's id.
    part = key.get("pk") or key["run_id"]
    return RequiredAction(f"dynamodb:{action}", f"arn:aws:dynamodb:{_ARN}:table/{table}", part["S"])


def _s3(operation: str, params: Parameters) -> Iterator[RequiredAction]:
    action = _S3_ACTIONS.get(operation, operation)
    if action == "ListBucket":
        yield RequiredAction("s3:ListBucket", f"arn:aws:s3:::{params['Bucket']}", params["Prefix"])
        return
    keys = [entry["Key"] for entry in params.get("Delete", {}).get("Objects", ())]
    for key in keys or [params["Key"]]:
        yield RequiredAction(f"s3:{action}", f"arn:aws:s3:::{params['Bucket']}/{key}")
    if operation == "CopyObject":
        # botocore has already converted it to a header, `bucket/key`.
        yield RequiredAction("s3:GetObject", f"arn:aws:s3:::{unquote(params['CopySource'])}")


def _states(operation: str, params: Parameters) -> Iterator[RequiredAction]:
    # Only the service can read the state machine from a task token, and checks that resource.
    arn = params.get("stateMachineArn") or params.get("executionArn") or ANY_MACHINE
    yield RequiredAction(f"states:{operation}", arn)


def _secrets(operation: str, params: Parameters) -> Iterator[RequiredAction]:
    yield RequiredAction(f"secretsmanager:{operation}", arn_of_secret(params["SecretId"]))


def arn_of_secret(name: str) -> str:
    """Return the ARN of a secret without its six random characters.

    `!Ref` returns an ARN on AWS, and a name in the local stack.
    """
    return f"arn:aws:secretsmanager:{_ARN}:secret:{name}"


def _lambda(operation: str, params: Parameters) -> Iterator[RequiredAction]:
    action = {"Invoke": "InvokeFunction"}.get(operation, operation)
    yield RequiredAction(
        f"lambda:{action}", f"arn:aws:lambda:{_ARN}:function:{params['FunctionName']}"
    )


def _bedrock(operation: str, params: Parameters) -> Iterator[RequiredAction]:
    model = params["modelId"]
    kind, account = (
        ("inference-profile", ACCOUNT_ID)
        if model.startswith(_PROFILES)
        else (
            "foundation-model",
            "",
        )
    )
    action = _BEDROCK_ACTIONS.get(operation, operation)
    yield RequiredAction(
        f"bedrock:{action}", f"arn:aws:bedrock:{DEFAULT_REGION}:{account}:{kind}/{model}"
    )


def _sqs(operation: str, params: Parameters) -> Iterator[RequiredAction]:
    action = _SQS_ACTIONS.get(operation, operation)
    queue = params["QueueUrl"].rpartition("/")[2]
    yield RequiredAction(f"sqs:{action}", f"arn:aws:sqs:{_ARN}:{queue}")


def _events(operation: str, params: Parameters) -> Iterator[RequiredAction]:
    for entry in params["Entries"]:
        bus = f"arn:aws:events:{_ARN}:event-bus/{entry['EventBusName']}"
        yield RequiredAction(f"events:{operation}", bus)


ANY_MACHINE = "the state machine of the token"
_SERVICES = {
    "DynamoDB": _dynamodb,
    "S3": _s3,
    "SFN": _states,
    "Secrets Manager": _secrets,
    "Lambda": _lambda,
    "Bedrock Runtime": _bedrock,
    "SQS": _sqs,
    "EventBridge": _events,
}
# Actions of a service on the encryption key of its data, with the permissions of the caller.
_KEY_ACTIONS = {
    "dynamodb": ("Decrypt",),
    "s3:GetObject": ("Decrypt",),
    "s3:PutObject": ("GenerateDataKey",),
    "secretsmanager:GetSecretValue": ("Decrypt",),
    "sqs:SendMessage": ("Decrypt", "GenerateDataKey"),
    "sqs:ReceiveMessage": ("Decrypt",),
}


def with_key(right: RequiredAction, key: str) -> Iterator[RequiredAction]:
    """Yield the action and those on `key`, which encrypts tables, bucket, queues and secret."""
    yield right
    service = right.action.partition(":")[0]
    for action in _KEY_ACTIONS.get(right.action) or _KEY_ACTIONS.get(service) or ():
        yield RequiredAction(f"kms:{action}", key)
