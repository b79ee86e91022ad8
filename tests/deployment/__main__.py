"""`make test-deploy`: deploy, test, update and delete a stack; print what was tested.

Started twice: outside it fetches what it needs, inside a network namespace it does the rest.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.deployment import network_namespace
from tests.deployment.build import Build
from tests.deployment.emulator_workarounds import SKIPPED_TESTS, WORKAROUNDS
from tests.deployment.stack_lifecycle import StackLifecycle

FOLDER = Path("build/rehearsal")


def main() -> int:
    """Fetch, then rehearse without a network; the exit code is 1 where something failed."""
    # Its interpreter itself, and not the environment's link to it: SAM looks for python3.13.
    python = subprocess.check_output(["tools/find-python", "3.13"], text=True).strip()
    build = Build(FOLDER, Path(python), Path(".venv-sam/bin/python"))
    if network_namespace.is_ours():
        network_namespace.bring_up_loopback()
        return _rehearse(build)
    FOLDER.mkdir(parents=True, exist_ok=True)
    _say("fetching wheels, for Lambda and for this machine")
    build.fetch_wheels()
    words = network_namespace.entering()
    if words is None:
        return _rehearse(build)
    command = [*words, sys.executable, "-m", "tests.deployment"]
    return subprocess.run(command, env={**os.environ, "REHEARSAL_INSIDE": "1"}).returncode


def _rehearse(build: Build) -> int:
    begun, shown = time.monotonic(), []
    if network_namespace.has_a_way_out():
        shown.append("NOT shown: that nothing leaves this machine; `unshare --net` is not allowed")
    else:
        shown.append("nothing left this machine: the network namespace has no way out")
    temporary = (FOLDER / "tmp").resolve()
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with StackLifecycle.start(build, temporary) as rehearsal:
            for step in rehearsal.steps():
                _say(step.announced)
                shown.append(step.take())
    except (AssertionError, subprocess.CalledProcessError) as error:
        print(f"\nrehearsal FAILED: {error}\nlogs: {FOLDER / 'logs'}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _report(shown, time.monotonic() - begun)
    return 0


def _report(shown: list[str], seconds: float) -> None:
    print(f"\nRehearsed in {seconds:.0f} s. Shown:")
    for line in shown:
        print(f"  + {line}")
    print("Stepped around (tests/deployment/emulator_workarounds.py), so not shown:")
    for name, what in WORKAROUNDS.items():
        print(f"  - {name}: {what}")
    for test, reason in SKIPPED_TESTS.items():
        print(f"  - {test} is left out: {reason}")


def _say(line: str) -> None:
    print(f"\n== {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
