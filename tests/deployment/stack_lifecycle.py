"""The steps of the deployment test, in their order, with an emulator that runs meanwhile."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.processes import parent_death
from runyard_dev.processes.process import ManagedProcess, free_ports
from tests.deployment import emulator_workarounds, failing_resources
from tests.deployment.build import Build
from tests.deployment.failed_updates import rehearse_failed_updates
from tests.deployment.restore_drill import RestoreDrill
from tests.support.deployed_stack import DeployedStack
from tests.support.merged_agents import merged_agents
from tests.support.service import Service

STACK = "runyard-dev"
FAILURES = "failing-resources"
EMULATOR_PYTHON = Path(".venv-deployment/bin/python")
_REGION = "us-east-1"
_READY_SECONDS = 120


@dataclass(frozen=True)
class Step:
    """A step, and the fact that it has verified when it ends."""

    announced: str
    take: Callable[[], str]


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
        names = ("GATEWAY_PORT", "API_PORT", "STREAM_PORT", "SAMPLES_PORT")
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://{HOST}:{ports['GATEWAY_PORT']}",
            # The emulator's root user.
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }
        parts = _parts(ports, temporary, build.folder / "logs")
        try:
            for part in parts:
                part.spawn()
                part.wait_ready(threading.Event())
            yield cls(build, temporary, ports)
        finally:
            for part in reversed(parts):
                part.stop()

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
        service.wait(self.waiting_run, "awaiting_input", seconds=_READY_SECONDS)
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

    def _wait_for_endpoints(self) -> None:
        """Each deployment restarts the streaming endpoint."""
        stack = self._stack()
        for address in (stack.api_url, stack.outputs["StreamUrl"].rstrip("/")):
            until = time.monotonic() + _READY_SECONDS
            while not _is_healthy(address):
                assert time.monotonic() < until, f"{address} does not answer"
                time.sleep(0.2)

    def _service(self) -> Service:
        """Return a caller with a new key, when both endpoints respond."""
        self._wait_for_endpoints()
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


def _parts(ports: dict[str, int], temporary: Path, logs: Path) -> list[ManagedProcess]:
    logs.mkdir(exist_ok=True)
    emulator = {
        **os.environ,
        **{name: str(port) for name, port in ports.items()},
        **{"AUTH": "true", "BIND_HOST": HOST, "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"},
        **{"LIFELINE": str(parent_death.__file__), "TMPDIR": str(temporary)},
        **{failing_resources.FILE_VARIABLE: str(temporary / FAILURES)},
        **{"STATE_DIR": str(temporary / "state"), "S3_DATA_DIR": str(temporary / "s3")},
    }
    samples = ("-m", "runyard_dev.samples.services", "--port", str(ports["SAMPLES_PORT"]))
    return [
        ManagedProcess(
            name="samples",
            description="what the sample agents call",
            command=[sys.executable, *samples],
            port=ports["SAMPLES_PORT"],
            log=logs / "samples.log",
            environment=os.environ,
        ),
        ManagedProcess(
            name="emulator",
            description="ministack",
            command=[str(EMULATOR_PYTHON), "-m", emulator_workarounds.__name__],
            port=ports["GATEWAY_PORT"],
            log=logs / "emulator.log",
            environment=emulator,
            ready_path="/_ministack/health",
        ),
    ]


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/v1/health", timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
