"""Print every event of a run once, with requests-sse: follow_requests_sse.py STREAM_URL ACCESS_KEY.

requests-sse reconnects by itself. It raises an error at the status 204, which ends the stream.
"""

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
