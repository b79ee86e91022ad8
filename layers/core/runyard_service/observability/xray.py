"""X-Ray's word for what an invocation was about: one subsegment, with `run_id` to search by.

Lambda makes the segments itself (`Tracing: Active`) and leaves the address of its daemon in the
environment. A subsegment is one datagram to it: a header line and a JSON document. The SDK for it
would cost a third of a second of every cold start, for this.
"""

import json
import secrets
import socket
import time
from collections.abc import Mapping

# What X-Ray can be searched by; nothing else goes there.
ANNOTATIONS = ("run_id", "request_id")
_HEADER = b'{"format":"json","version":1}\n'


def annotate(
    environment: Mapping[str, str], name: str, began: float, keys: Mapping[str, object]
) -> None:
    """Tell X-Ray what was done from `began` (seconds since the epoch) until now.

    A trace that is not sampled is not told of; where no daemon is, nothing is sent.
    """
    trace = dict(
        part.split("=", 1)
        for part in environment.get("_X_AMZN_TRACE_ID", "").split(";")
        if "=" in part
    )
    host, _, port = environment.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
    annotations = {key: str(keys[key]) for key in ANNOTATIONS if key in keys}
    if trace.get("Sampled") != "1" or not port.isdecimal() or not annotations:
        return
    document = {
        "name": name,
        "id": secrets.token_hex(8),
        "trace_id": trace.get("Root", ""),
        "parent_id": trace.get("Parent", ""),
        "type": "subsegment",
        "start_time": began,
        "end_time": time.time(),
        "annotations": annotations,
    }
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
            daemon.sendto(_HEADER + json.dumps(document).encode(), (host, int(port)))
    except OSError:
        return  # A trace less; the invocation has done its work.
