"""Run the command `runyard` in the test's own process."""

import pytest
from click.testing import CliRunner, Result

from runyard.cli.main import runyard
from tests.support.service import Service


def run_command(*words: str) -> int:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as exit_:
        runyard.main(list(words), prog_name="runyard")
    assert isinstance(exit_.value.code, int), exit_.value.code
    return exit_.value.code


def call_service(service: Service, *words: str, stdin: str = "") -> Result:
    """Run the command in this process, without a terminal, against the service."""
    return CliRunner().invoke(runyard, words, env=service_variables(service), input=stdin)


def service_variables(service: Service) -> dict[str, str]:
    """Return the environment variables that name the service and its key."""
    return {"RUNYARD_URL": service.base_url, "RUNYARD_ACCESS_KEY": service.access_key}
