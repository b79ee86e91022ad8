"""Send spans to an OpenTelemetry collector, as OTLP/HTTP JSON, at the end of an invocation.

The OpenTelemetry SDK is not used: see docs/adr, "Spans are sent as OTLP's JSON".
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

# The invocation waits for the collector, and a person may wait for the invocation. The timeout is
# short because the collector is expected to be near.
_TIMEOUT_SECONDS = 2.0
# Exports pause for this time after a collector did not respond. Spans in this time are lost.
_PAUSE_SECONDS = 30.0
_BATCH_SPANS = 200
_KINDS = {"internal": 1, "client": 3}
_ERROR = 2


class OtlpExporter:
    """Send spans to `{endpoint}/v1/traces`. Each export calls `headers`.

    An export never raises an HTTP error, because a run must not depend on the collector.
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
        self._paused_until = 0.0

    def __call__(self, spans: Sequence[Span]) -> None:
        """Send the spans, unless exports are paused because the collector did not respond."""
        if time.monotonic() < self._paused_until:
            return
        try:
            headers = {**self._headers(), "content-type": "application/json"}
            # No shared client: a connection does not survive while Lambda freezes the process.
            with httpx2.Client(
                timeout=_TIMEOUT_SECONDS, headers=headers, verify=self._tls
            ) as client:
                for first in range(0, len(spans), _BATCH_SPANS):
                    batch = spans[first : first + _BATCH_SPANS]
                    response = client.post(self._url, content=document(batch, self._resource))
                    response.raise_for_status()
        except httpx2.HTTPStatusError as error:
            _log.warning("collector rejected spans", extra={"status": error.response.status_code})
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            self._paused_until = time.monotonic() + _PAUSE_SECONDS
            _log.warning("spans not sent", extra={"error": type(error).__name__})

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def headers_of(text: str) -> dict[str, str]:
    """Parse headers in the format of OTEL_EXPORTER_OTLP_HEADERS: `name=value,name=value`."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}


def document(spans: Iterable[Span], resource: Mapping[str, Value]) -> bytes:
    """Return an ExportTraceServiceRequest as JSON: hexadecimal ids, 64-bit numbers as text."""
    scope_spans = {"scope": {"name": "runyard"}, "spans": [_span(span) for span in spans]}
    resource_spans = {
        "resource": {"attributes": _attributes(resource)},
        "scopeSpans": [scope_spans],
    }
    return json.dumps({"resourceSpans": [resource_spans]}).encode()


def _span(span: Span) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.id,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.started),
        "endTimeUnixNano": str(span.ended),
        "attributes": _attributes(span.attributes),
    }
    if span.parent_id:
        encoded["parentSpanId"] = span.parent_id
    if span.error:
        encoded["attributes"] += _attributes({"error.type": span.error})
        encoded["status"] = {"code": _ERROR}
    return encoded


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
            return {"arrayValue": {"values": [{"stringValue": text} for text in value]}}
