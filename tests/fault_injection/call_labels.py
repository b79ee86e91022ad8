"""Names of external calls: the service, the operation and its subject, without ids.

dynamodb.TransactWriteItems run.paused      stepfunctions.StartExecution      http.POST /refunds
"""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from runyard_service.adapters.dynamodb.event_log import lines_of

_SERVICES = {"SFN": "stepfunctions", "S3": "s3", "DynamoDB": "dynamodb", "Lambda": "lambda"}


def aws_call(model: Any, params: Mapping[str, Any]) -> str:
    """Return the name of a call that botocore is about to make."""
    service = _SERVICES.get(model.service_model.service_id, model.service_model.service_id)
    name = f"{service}.{model.name}"
    if service == "dynamodb":
        subject = _subject_of(json.loads(params["body"]))
    elif service == "s3":
        subject = next((part for part in params["url_path"].split("/") if part in _S3_FOLDERS), "")
    else:
        subject = ""
    return f"{name} {subject}".strip()


_S3_FOLDERS = ("payloads", "checkpoints", "files", "uploads", "agents")


def http_call(method: str, path: str, headers: Mapping[str, str]) -> str:
    """Return the name of an outgoing request: the method, and the first part of the path.

    A request to an MCP server also has the name of the tool, or else the method of the protocol.
    """
    subject = headers.get("mcp-name") or headers.get("mcp-method", "")
    return f"http.{method} /{path.strip('/').partition('/')[0]} {subject}".strip()


def _subject_of(body: Mapping[str, Any]) -> str:
    if "KeyConditionExpression" in body:
        return str(body.get("IndexName") or _of_query(body["ExpressionAttributeValues"]))
    kinds: list[str] = []
    types: list[str] = []
    for item in _items(body):
        lines = _lines(item)
        types += [json.loads(line)["type"] for line in lines]
        if not lines:
            kinds.append(_kind(item))
    # The number of deltas in a write depends on timing.
    stable = [name for name in types if not name.endswith(".delta")] or types
    return "+".join(dict.fromkeys(stable or kinds))


def _lines(item: Mapping[str, Any]) -> list[bytes]:
    """Return the lines of a batch of events; no lines if the item is something else."""
    plain = {name: item[name]["S"] for name in ("lines",) if name in item}
    packed = {name: b64decode(item[name]["B"]) for name in ("lines_z",) if name in item}
    return lines_of(plain | packed) if plain or packed else []


def _items(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for change in body.get("TransactItems", ()):
        for part in change.values():
            yield part.get("Item") or part["Key"]
    for requests in body.get("RequestItems", {}).values():
        if isinstance(requests, dict):  # A read; a batch of deletions is a list.
            yield from requests["Keys"]
    if item := body.get("Item") or body.get("Key"):
        yield item


def _kind(item: Mapping[str, Any]) -> str:
    """Return the kind of an item, from its key (`adapters/dynamodb/keys.py`)."""
    if "sk" not in item:
        return "events"
    head: str = item["sk"]["S"].partition("#")[0]
    outer: str = item["pk"]["S"].partition("#")[0]
    known = head if head.isalpha() and head.isupper() else outer
    return (f"{outer}_{known}" if (outer, known) == ("THREAD", "RUN") else known).lower()


def _of_query(values: Mapping[str, Any]) -> str:
    if ":run_id" in values:
        return "events"
    heads = [value["S"].partition("#")[0] for name, value in values.items() if name != ":pk"]
    return "+".join(dict.fromkeys(head for head in heads if head)).lower() or "records"
