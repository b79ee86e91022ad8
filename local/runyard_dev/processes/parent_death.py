"""Start a command that ends with the supervisor, also if the supervisor is killed.

`python parent_death.py <pid of the supervisor> <command> …`. It runs as a file and imports no other
module of this package. On Linux it requests a signal at the death of its parent and becomes the
command. On other systems it stays the parent of the command and monitors the supervisor.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> NoReturn:
    """Become the command, or run it and monitor the supervisor."""
    supervisor, command = int(arguments[0]), arguments[1:]
    if not sys.platform.startswith("linux"):
        sys.exit(_stay_with(supervisor, command))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # It died before the request for the signal.
        sys.exit(1)
    os.execvp(command[0], command)


def _stay_with(supervisor: int, command: list[str]) -> int:
    child = subprocess.Popen(command)

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    while child.poll() is None:
        if os.getppid() != supervisor:
            child.kill()
        time.sleep(0.2)
    return child.returncode


if __name__ == "__main__":
    main(sys.argv[1:])
