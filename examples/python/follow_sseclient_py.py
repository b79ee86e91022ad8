"""Print every event of a run once, with sseclient-py: follow_sseclient_py.py STREAM_URL ACCESS_KEY.

sseclient-py reads one response of requests. The loop reconnects with the id of the last event.
"""

import sys
import time

import requests
import sseclient

url, key = sys.argv[1:]
last = ""
with requests.Session() as session:
    session.headers["Authorization"] = f"Bearer {key}"
    while True:
        try:
            response = session.get(url, headers={"Last-Event-ID": last}, stream=True, timeout=30)
            if response.status_code == 204:
                break
            client = sseclient.SSEClient(response)  # type: ignore[arg-type]  # As in its README.
            for event in client.events():
                last = event.id or last
                sys.stdout.write(f"{event.id} {event.data}\n")
                sys.stdout.flush()
        except requests.RequestException:
            time.sleep(0.2)
