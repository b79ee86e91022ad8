"""Start a run and print its events: follow.py API_URL ACCESS_KEY.

Needs httpx and httpx-sse. The loop reconnects after a broken connection.
"""

import sys
import time
from uuid import uuid4

import httpx
from httpx_sse import connect_sse


def main() -> None:
    """Start one run in the background, then follow it to its end."""
    api, key = sys.argv[1:]
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(headers=headers, timeout=30, follow_redirects=True) as client:
        body = {"input": {"ticket_subject": "The app is slow"}, "background": True}
        # The same key with the same body starts one run, however often the request is repeated.
        created = client.post(f"{api}/runs", json=body, headers={"Idempotency-Key": str(uuid4())})
        created.raise_for_status()
        follow(client, f"{api}/runs/{created.json()['data']['id']}/stream")


def follow(client: httpx.Client, url: str) -> None:
    """Print each event once, until the service says that there are no more (204)."""
    last = ""
    while True:
        try:
            with connect_sse(client, "GET", url, headers={"Last-Event-ID": last}) as source:
                if source.response.status_code == 204:
                    return
                for event in source.iter_sse():
                    last = event.id
                    sys.stdout.write(f"{event.id} {event.data}\n")
                    sys.stdout.flush()
        except httpx.TransportError:
            time.sleep(0.2)


if __name__ == "__main__":
    main()
