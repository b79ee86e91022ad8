"""Code that blocks the event loop. A process of its own, because the loop stays blocked."""

import json
import subprocess
import sys

_CODE = """
import json, time
from datetime import UTC, datetime, timedelta
from runyard import agent

@agent
async def blocking(ctx, data):
    time.sleep(30)

not_after = (datetime.now(UTC) + timedelta(seconds=0.1)).isoformat()
run = {"id": "run", "agent": "test", "input": {}}
print(json.dumps(blocking({"protocol": 1, "run": run, "not_after": not_after})), flush=True)
import os
os._exit(0)
"""


def test_the_error_names_the_line_that_blocks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, check=True, timeout=60
    )
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "agent_stuck"
    assert "in blocking" in error["message"]
    assert "ctx.step" in error["message"]
