"""The steps of the deployment test, in their order, with an emulator that runs meanwhile."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from runyard_dev.emulators.loopback_http import HOST
from tests.deployment import emulator_workarounds
from tests.deployment.build import Build
from tests.deployment.emulator import (
    FAILURES,
    READY_SECONDS,
    running_emulator,
    wait_for_endpoints,
)
from tests.deployment.failed_updates import rehearse_failed_updates
from tests.deployment.restore_drill import RestoreDrill
from tests.deployment.steps import Step
from tests.support.deployed_stack import DeployedStack
from tests.support.merged_agents import merged_agents
from tests.support.service import Service

STACK = "runyard-dev"


@dataclass
class StackLifecycle:
    """A running emulator, and a stack in it. The environment leads every AWS client to it."""

    build: Build
    temporary: Path
    ports: dict[str, int]
    waiting_run: str = ""
    """A run that was started before the update and waits for a person."""

    @classmethod
    @contextmanager
    def start(cls, build: Build, temporary: Path) -> Iterator["StackLifecycle"]:
        """Start the emulator and what the sample agents call; end both."""
        with running_emulator(build, temporary) as ports:
            yield cls(build, temporary, ports)

    def steps(self) -> list[Step]:
        """What is done, in this order."""
        return [
            Step("sam build, without a network", self._build),
            Step("sam deploy, with IAM enforced", self._deploy),
            Step("the end-to-end tests", self._test),
            Step("updates that fail at each resource", self._fail_updates),
            Step("a second deployment, as an update", self._update),
            Step("a restore of both tables", self._restore),
            Step("sam delete", self._delete),
        ]

    def _build(self) -> str:
        self.build.make()
        self.build.exchange_wheels()
        return "template.yaml builds as it is"

    def _deploy(self) -> str:
        self._sam_deploy("LogLevel=DEBUG")
        # The agents of the tests, next to the samples, by the command that needs no deployment.
        folder = merged_agents(self.temporary / "agents")
        self._runyard("agents", "publish", str(folder), "--stack", STACK)
        return "it deploys, publishes its agents, and takes others by `runyard agents publish`"

    def _test(self) -> str:
        service = self._service()
        self.waiting_run = str(service.create({"ticket_subject": "Help!"})["id"])
        # Each function's first call here takes as long as this machine needs to import it.
        service.wait(self.waiting_run, "awaiting_input", seconds=READY_SECONDS)
        service.close()
        command = [sys.executable, "-m", "pytest", "tests/e2e", "-q"]
        command += [f"--deselect={test}" for test in emulator_workarounds.SKIPPED_TESTS]
        subprocess.run(command, check=True, env={**os.environ, "STACK": STACK})
        return "the end-to-end tests pass through its HTTP API, each function with its own role"

    def _fail_updates(self) -> str:
        return rehearse_failed_updates(STACK, self.temporary / FAILURES)

    def _update(self) -> str:
        before = self._stack()
        self._sam_deploy("LogLevel=INFO")
        assert self._stack().outputs == before.outputs, "an update moved what it should leave"
        service = self._service()
        run = service.run(self.waiting_run)
        assert run["status"] == "awaiting_input", run
        assert service.answer(run, feedback="account").status_code == 200
        ended = service.wait(self.waiting_run, "completed", "failed")
        service.close()
        assert ended["status"] == "completed", ended
        return "a second deployment updates it in place; a run that waited continues afterwards"

    def _restore(self) -> str:
        service = self._service()
        verified = RestoreDrill(STACK, service, self._sam_deploy).take()
        service.close()
        return verified

    def _delete(self) -> str:
        after = self._stack()
        self._sam("delete", "--stack-name", STACK, "--no-prompts")
        tables = boto3.client("dynamodb").list_tables()["TableNames"]
        assert {after.outputs["EventsTableName"], after.outputs["RecordsTableName"]} <= set(tables)
        return "`sam delete` removes it and leaves the tables"

    def _sam_deploy(self, *parameters: str) -> None:
        """`sam deploy` as samconfig.toml says for dev, with what the sample agents call."""
        samples = f"{HOST}:{self.ports['SAMPLES_PORT']}"
        variables = json.dumps({"CRM_URL": f"http://{samples}"}).replace('"', '\\"')
        self._sam(
            *("deploy", "--template-file", str(self.build.built / "template.yaml")),
            *("--config-file", str(Path("samconfig.toml").resolve()), "--parameter-overrides"),
            *("Stage=dev", "LogRetentionDays=7", *parameters),
            *(f'AgentVariables="{variables}"', f"HttpAllowedPrivateHosts={samples}"),
        )

    def _service(self) -> Service:
        """Return a caller with a new key, when both endpoints respond."""
        wait_for_endpoints(self._stack().outputs)
        secret = self._runyard(
            "keys", "create", "--stack", STACK, "--project", "deployment-test"
        ).strip()
        return Service(self._stack().api_url, secret)

    def _stack(self) -> DeployedStack:
        return DeployedStack.read(STACK)

    def _sam(self, *words: str) -> None:
        command = [str(self.build.sam), "-m", "samcli", *words]
        subprocess.run(command, check=True)

    def _runyard(self, *words: str) -> str:
        """Run a `runyard` command and return what it prints."""
        command = [sys.executable, "-m", "runyard", *words]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
