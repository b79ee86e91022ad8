"""Print every event of a run once, with Runyard's client: follow_runyard.py STREAM_URL ACCESS_KEY.

The client reconnects by itself, and checks that no event is missing.
"""

import json
import sys

from runyard import Runyard

stream_url, key = sys.argv[1:]
url, _, path = stream_url.partition("/v1/runs/")
with Runyard(url=url, access_key=key) as client:
    for event in client.runs.follow(path.removesuffix("/stream")):
        sys.stdout.write(f"{event.sequence} {json.dumps(event.raw)}\n")
        sys.stdout.flush()
