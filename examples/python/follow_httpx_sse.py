"""Print every event of a run once, with httpx-sse: follow_httpx_sse.py STREAM_URL ACCESS_KEY.

httpx-sse does not reconnect by itself. The loop sends the id of the last complete event.
"""

import sys
import time

import httpx
from httpx_sse import connect_sse

url, key = sys.argv[1:]
headers = {"Authorization": f"Bearer {key}"}
last = ""
with httpx.Client(headers=headers, timeout=30, follow_redirects=True) as client:
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
