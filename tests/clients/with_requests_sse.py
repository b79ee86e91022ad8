"""`requests-sse`: comes back by itself; a 204 is told as an error."""

import sys

from requests_sse import EventSource, InvalidStatusCodeError

url, key = sys.argv[1:]
with EventSource(url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as source:
    try:
        for event in source:
            sys.stdout.write(f"{event.last_event_id} {event.data}\n")
            sys.stdout.flush()
    except InvalidStatusCodeError as error:
        if error.status_code != 204:
            raise
