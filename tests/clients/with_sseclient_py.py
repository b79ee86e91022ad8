"""`sseclient-py`: reads one answer of `requests`; coming back is the caller's."""

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
            answer = session.get(url, headers={"Last-Event-ID": last}, stream=True, timeout=30)
            if answer.status_code == 204:
                break
            client = sseclient.SSEClient(answer)  # type: ignore[arg-type]  # As its README has it.
            for event in client.events():
                last = event.id or last
                sys.stdout.write(f"{event.id} {event.data}\n")
                sys.stdout.flush()
        except requests.RequestException:
            time.sleep(0.2)
