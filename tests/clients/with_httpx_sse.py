"""`httpx-sse`: the loop around it is the caller's, as its documentation has it."""

import sys
import time

import httpx
from httpx_sse import connect_sse

url, key = sys.argv[1:]
last = ""
with httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
    while True:
        try:
            with connect_sse(client, "GET", url, headers={"Last-Event-ID": last}) as source:
                if source.response.status_code == 204:
                    break
                for event in source.iter_sse():
                    last = event.id
                    sys.stdout.write(f"{event.id} {event.data}\n")
                    sys.stdout.flush()
        except httpx.TransportError:
            time.sleep(0.2)
