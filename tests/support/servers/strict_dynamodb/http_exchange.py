"""Read a DynamoDB request of botocore, and build the HTTP response that botocore parses."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

_TYPE_PREFIX = "com.amazonaws.dynamodb.v20120810#"
_JSON = "application/x-amz-json-1.0"


@dataclass
class DynamoDbCall:
    """One attempt to send a request; `body` is the parsed JSON of `request`."""

    request: Any
    operation: str
    body: dict[str, Any]

    @classmethod
    def read(cls, request: Any) -> "DynamoDbCall":
        """Return the call of a prepared request."""
        target = request.headers["X-Amz-Target"]
        text = target.decode() if isinstance(target, bytes) else str(target)
        return cls(request, text.rpartition(".")[2], json.loads(request.body))

    def replace_body(self, body: dict[str, Any]) -> None:
        """Let botocore send this body. The emulator does not check the signature."""
        self.body, self.request.body = body, json.dumps(body).encode()
        self.request.headers["Content-Length"] = str(len(self.request.body))

    def respond(self, status: int, content: Mapping[str, Any]) -> AWSResponse:
        """Return a response to this call."""
        headers = HTTPHeaders()
        headers["Content-Type"], headers["x-amzn-RequestId"] = _JSON, "strict"
        return AWSResponse(
            self.request.url, status, headers, _RawBody(json.dumps(content).encode())
        )

    def reject(self, code: str, message: str, **details: Any) -> AWSResponse:
        """Return an error response; DynamoDB's client errors have status 400."""
        return self.respond(400, {"__type": _TYPE_PREFIX + code, "message": message, **details})

    def cancel(self, reasons: list[dict[str, str]]) -> AWSResponse:
        """Return the error of a canceled transaction, with a reason for each of its items."""
        codes = ", ".join(reason["Code"] for reason in reasons)
        message = (
            "Transaction cancelled, please refer cancellation reasons for specific reasons "
            f"[{codes}]"
        )
        return self.reject(
            "TransactionCanceledException",
            message,
            Message=message,
            CancellationReasons=reasons,
        )


class _RawBody(io.BytesIO):
    """The part of urllib3's response that botocore reads."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Yield the whole body."""
        yield self.read()
