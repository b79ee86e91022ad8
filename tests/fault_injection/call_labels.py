"""Names for calls to the outside: what is called, and what about, without an id.

dynamodb.TransactWriteItems run.paused      stepfunctions.StartExecution      http.POST /refunds
"""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from runyard_service.adapters.dynamodb.event_log import lines_of

_SERVICES = {"SFN": "stepfunctions", "S3": "s3", "DynamoDB": "dynamodb", "Lambda": "lambda"}


def aws_call(model: Any, params: Mapping[str, Any]) -> str:
    """The name of a call that botocore is about to make."""
    service = _SERVICES.get(model.service_model.service_id, model.service_model.service_id)
    name = f"{service}.{model.name}"
    if service == "dynamodb":
        about = _about(json.loads(params["body"]))
    elif service == "s3":
        about = next((part for part in params["url_path"].split("/") if part in _S3_FOLDERS), "")
    else:
        about = ""
    return f"{name} {about}".strip()


_S3_FOLDERS = ("payloads", "checkpoints", "files", "uploads", "agents")


def http_call(method: str, path: str) -> str:
    """The name of an outgoing request: the method, and where its path begins."""
    return f"http.{method} /{path.strip('/').partition('/')[0]}"


def _about(body: Mapping[str, Any]) -> str:
    if "KeyConditionExpression" in body:
        return str(body.get("IndexName") or _of_query(body["ExpressionAttributeValues"]))
    kinds: list[str] = []
    types: list[str] = []
    for item in _items(body):
        lines = _lines(item)
        types += [json.loads(line)["type"] for line in lines]
        if not lines:
            kinds.append(_kind(item))
    # How many deltas go out with a reply is a matter of time.
    lasting = [name for name in types if not name.endswith(".delta")] or types
    return "+".join(dict.fromkeys(lasting or kinds))


def _lines(item: Mapping[str, Any]) -> list[bytes]:
    """The lines of a batch of events; none where the item is something else."""
    plain = {name: item[name]["S"] for name in ("lines",) if name in item}
    packed = {name: b64decode(item[name]["B"]) for name in ("lines_z",) if name in item}
    return lines_of(plain | packed) if plain or packed else []


def _items(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for change in body.get("TransactItems", ()):
        for part in change.values():
            yield part.get("Item") or part["Key"]
    for asked in body.get("RequestItems", {}).values():
        if isinstance(asked, dict):  # A read; a batch of deletions is a list.
            yield from asked["Keys"]
    if place := body.get("Item") or body.get("Key"):
        yield place


def _kind(place: Mapping[str, Any]) -> str:
    """The kind of item, by its key in `store/keys.py`."""
    if "sk" not in place:
        return "events"
    head: str = place["sk"]["S"].partition("#")[0]
    outer: str = place["pk"]["S"].partition("#")[0]
    known = head if head.isalpha() and head.isupper() else outer
    return (f"{outer}_{known}" if (outer, known) == ("THREAD", "RUN") else known).lower()


def _of_query(values: Mapping[str, Any]) -> str:
    if ":run_id" in values:
        return "events"
    heads = [value["S"].partition("#")[0] for name, value in values.items() if name != ":pk"]
    return "+".join(dict.fromkeys(head for head in heads if head)).lower() or "records"
