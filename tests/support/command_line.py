"""Run the command `runyard` in the test's own process."""

import pytest

from runyard.cli.main import runyard


def run_command(*words: str) -> int:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as exit_:
        runyard.main(list(words), prog_name="runyard")
    assert isinstance(exit_.value.code, int), exit_.value.code
    return exit_.value.code
