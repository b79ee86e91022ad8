"""`make test-deploy`: deploy, test, update and delete a stack; print what was tested.

Started twice: outside it fetches what it needs, inside a network namespace it does the rest. The
arguments `stack` and `project` select a part: the stack of this repository, or a new project.
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
from tests.deployment.project_rehearsal import ProjectRehearsal
from tests.deployment.stack_lifecycle import StackLifecycle

FOLDER = Path("build/deployment-test")
PARTS: dict[str, type[StackLifecycle] | type[ProjectRehearsal]] = {
    "stack": StackLifecycle,
    "project": ProjectRehearsal,
}


def main() -> int:
    """Download, then test without a network; return the exit code, 1 after a failure."""
    # Its interpreter itself, and not the environment's link to it: SAM looks for python3.13.
    python = subprocess.check_output(["tools/find-python", "3.13"], text=True).strip()
    build = Build(FOLDER, Path(python), Path(".venv-sam/bin/python"))
    if network_namespace.is_ours():
        network_namespace.bring_up_loopback()
        return _test_deployment(build)
    FOLDER.mkdir(parents=True, exist_ok=True)
    _say("fetching wheels, for Lambda and for this machine")
    build.fetch_wheels()
    words = network_namespace.entering()
    if words is None:
        return _test_deployment(build)
    command = [*words, sys.executable, "-m", "tests.deployment", *sys.argv[1:]]
    return subprocess.run(command, env={**os.environ, "DEPLOYMENT_TEST_INSIDE": "1"}).returncode


def _test_deployment(build: Build) -> int:
    started, verified = time.monotonic(), []
    if network_namespace.has_a_way_out():
        verified.append("NOT verified: no outgoing connections (`unshare --net` is not allowed)")
    else:
        verified.append("nothing left this machine: the network namespace has no way out")
    temporary = (FOLDER / "tmp").resolve()
    try:
        for part in sys.argv[1:] or PARTS:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            with PARTS[part].start(build, temporary) as rehearsal:
                for step in rehearsal.steps():
                    _say(step.announced)
                    verified.append(step.take())
    except (AssertionError, subprocess.CalledProcessError) as error:
        print(f"\ndeployment test FAILED: {error}\nlogs: {FOLDER / 'logs'}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _report(verified, time.monotonic() - started)
    return 0


def _report(verified: list[str], seconds: float) -> None:
    print(f"\nTested in {seconds:.0f} s. Verified:")
    for line in verified:
        print(f"  + {line}")
    print("Worked around (tests/deployment/emulator_workarounds.py), so not verified:")
    for name, what in WORKAROUNDS.items():
        print(f"  - {name}: {what}")
    for test, reason in SKIPPED_TESTS.items():
        print(f"  - {test} is left out: {reason}")


def _say(line: str) -> None:
    print(f"\n== {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
