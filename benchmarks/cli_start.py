"""Measure how long `runyard --help` takes; the goal is 200 ms.

Each start is a new process of the installed command. The result is the median of 15 starts, after
one start that fills the caches.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

STARTS = 15
GOAL_MS = 200


def main() -> int:
    """Print the result. Return 1 if the median is over the goal."""
    command = [str(Path(sys.executable).with_name("runyard")), "--help"]
    _start(command)
    times = sorted(_start(command) for _ in range(STARTS))
    median = statistics.median(times)
    print(f"runyard --help: median {median:.0f} ms, best {times[0]:.0f} ms, goal {GOAL_MS} ms")
    return int(median > GOAL_MS)


def _start(command: list[str]) -> float:
    """Return the time of one start in milliseconds."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    sys.exit(main())
