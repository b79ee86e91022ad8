"""Print every event of a run once, on asyncio: follow_runyard_async.py STREAM_URL ACCESS_KEY.

The client reconnects by itself, and checks that no event is missing.
"""

import asyncio
import json
import sys

from runyard import AsyncRunyard


async def follow(url: str, run_id: str, key: str) -> None:
    """Print the events of the run."""
    async with AsyncRunyard(url=url, access_key=key) as client:
        async for event in client.runs.follow(run_id):
            sys.stdout.write(f"{event.sequence} {json.dumps(event.raw)}\n")
            sys.stdout.flush()


stream_url, access_key = sys.argv[1:]
base_url, _, path = stream_url.partition("/v1/runs/")
asyncio.run(follow(base_url, path.removesuffix("/stream"), access_key))
