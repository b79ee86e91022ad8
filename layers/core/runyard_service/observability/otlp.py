"""Spans to an OpenTelemetry collector: OTLP over HTTP, as JSON, at the end of a stretch of work.

Not by the SDK: see docs/adr, "Spans are sent as OTLP's JSON".
"""

import json
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import httpx2

from runyard_service.observability.spans import Span, Value

_log = logging.getLogger(__name__)

# An invocation waits for it, and so perhaps a person: a collector on the way is near.
_TIMEOUT_SECONDS = 2.0
# How long a collector that did not answer is left alone; its spans are lost.
_REST_SECONDS = 30.0
_SPANS_AT_ONCE = 200
_KINDS = {"internal": 1, "client": 3}
_ERROR = 2


class OtlpExporter:
    """Sends spans to `{endpoint}/v1/traces`. `headers` are asked for at the first of them.

    It never fails: what is observed must not depend on who observes.
    """

    def __init__(
        self,
        endpoint: str,
        headers: Callable[[], Mapping[str, str]],
        resource: Mapping[str, Value],
    ) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._headers = headers
        self._resource = resource
        self._rests_until = 0.0

    def __call__(self, spans: Sequence[Span]) -> None:
        """Send them, unless the collector has not answered lately."""
        if time.monotonic() < self._rests_until:
            return
        try:
            headers = {**self._headers(), "content-type": "application/json"}
            # Not one for all: a connection does not outlive the time that a Lambda is frozen.
            with httpx2.Client(
                timeout=_TIMEOUT_SECONDS, headers=headers, verify=self._tls
            ) as client:
                for first in range(0, len(spans), _SPANS_AT_ONCE):
                    some = spans[first : first + _SPANS_AT_ONCE]
                    answer = client.post(self._url, content=document(some, self._resource))
                    answer.raise_for_status()
        except httpx2.HTTPStatusError as error:
            _log.warning("collector rejected spans", extra={"status": error.response.status_code})
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            self._rests_until = time.monotonic() + _REST_SECONDS
            _log.warning("spans not sent", extra={"error": type(error).__name__})

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def headers_of(text: str) -> dict[str, str]:
    """Headers as OTEL_EXPORTER_OTLP_HEADERS has them: `name=value,name=value`."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}


def document(spans: Iterable[Span], resource: Mapping[str, Value]) -> bytes:
    """An ExportTraceServiceRequest in OTLP's JSON: ids in hexadecimal, long numbers as text."""
    scope = {"scope": {"name": "runyard"}, "spans": [_span(span) for span in spans]}
    whole = {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}
    return json.dumps({"resourceSpans": [whole]}).encode()


def _span(span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.id,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.started),
        "endTimeUnixNano": str(span.ended),
        "attributes": _attributes(span.attributes),
    }
    if span.parent_id:
        found["parentSpanId"] = span.parent_id
    if span.error:
        found["attributes"] += _attributes({"error.type": span.error})
        found["status"] = {"code": _ERROR}
    return found


def _attributes(attributes: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case _:
            return {"arrayValue": {"values": [{"stringValue": each} for each in value]}}
