"""Start a run in the background and print its stream's URL: start_run.py API_URL ACCESS_KEY."""

import sys
import time
from uuid import uuid4

import httpx


def start_run(client: httpx.Client, api: str) -> str:
    """Return the new run's id, also if the connection breaks between request and response."""
    body = {"input": {"ticket_subject": "The app is slow"}, "background": True}
    # The same key with the same body starts one run, however often the request is sent.
    headers = {"Idempotency-Key": str(uuid4())}
    while True:
        try:
            response = client.post(f"{api}/runs", json=body, headers=headers)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        response.raise_for_status()
        run_id: str = response.json()["data"]["id"]
        return run_id


if __name__ == "__main__":
    api_url, key = sys.argv[1:]
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=30) as http:
        sys.stdout.write(f"{api_url}/runs/{start_run(http, api_url)}/stream\n")
