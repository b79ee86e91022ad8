"""The restore drill of the deployed stack, by the commands of docs/how-to/restore.md."""

import re
from collections.abc import Callable
from typing import Any

import boto3

from tests.deployment.documented_commands import RESTORE, Shell, code_blocks
from tests.support.deployed_stack import DeployedStack
from tests.support.service import Service

_SECTION = "Restore both tables"


class RestoreDrill:
    """Restore both tables under other names, and attach the copies to the stack.

    The emulator restores the current content, and not that of a past time. So the drill restores
    first, and writes what the restore does not have afterwards.
    """

    def __init__(self, name: str, service: Service, deploy: Callable[..., None]) -> None:
        """`deploy` updates the stack with more parameters, as `NAME=value`."""
        self._name, self._service, self._deploy = name, service, deploy
        self._shell = Shell(name)
        self._before = DeployedStack.read(name)

    def take(self) -> str:
        """Perform the drill; return what it has verified."""
        stop, restore, settings, verify, deploy, allow = code_blocks(RESTORE, _SECTION)
        assert "samcli deploy" in deploy
        ended, waiting = self._create({"ticket_subject": "Invoice"}), self._create_waiting()
        expected = {run["id"]: self._read(run["id"]) for run in (ended, waiting)}
        printed = self._shell.run(restore, settings, verify)
        assert " 0 with violations" in printed, printed
        self._complete(waiting["id"])
        later = self._create({"ticket_subject": "Later"})
        self._shell.run(stop)
        parameters = re.findall(r"\bExisting\w+=\S+", printed)
        assert len(parameters) == 3, printed
        self._deploy(*parameters)
        smoke_test = re.compile(r"^make e2e .*\n", re.MULTILINE)
        self._shell.run(smoke_test.sub("", allow))
        self._check_tables()
        for run_id, content in expected.items():
            assert self._read(run_id) == content, "the restored run differs"
        assert self._service.http.get(f"/v1/runs/{later['id']}").status_code == 404
        self._complete(waiting["id"])
        self._create({"ticket_subject": "The app is slow"})
        return "both tables are restored by the commands of the page; a run that waited continues"

    def _create(self, run_input: dict[str, Any]) -> dict[str, Any]:
        run_id = self._service.create(run_input)["id"]
        return self._service.wait(run_id, "completed", "awaiting_input", "failed", seconds=120)

    def _create_waiting(self) -> dict[str, Any]:
        run = self._create({"ticket_subject": "Help!"})
        assert run["status"] == "awaiting_input", run
        return run

    def _read(self, run_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the run and its log without the recoveries of the sweep."""
        events = self._service.events(run_id)
        return self._service.run(run_id), [
            event for event in events if event["type"] != "run.recovered"
        ]

    def _complete(self, run_id: str) -> None:
        run = self._service.run(run_id)
        assert run["status"] == "awaiting_input", run
        response = self._service.answer(run, feedback="account")
        assert response.status_code == 200, response.text
        self._sweep()
        ended = self._service.wait(run_id, "completed", "failed", seconds=120)
        assert ended["status"] == "completed", ended

    def _sweep(self) -> None:
        """Sweep now: the task token of a restored run may be that of an ended execution."""
        client = boto3.client("cloudformation")
        found = client.describe_stack_resource(
            StackName=self._name, LogicalResourceId="SweepFunction"
        )
        boto3.client("lambda").invoke(
            FunctionName=found["StackResourceDetail"]["PhysicalResourceId"],
            Payload=b'{"everything": true}',
        )

    def _check_tables(self) -> None:
        after = DeployedStack.read(self._name)
        tables = boto3.client("dynamodb").list_tables()["TableNames"]
        for output in ("EventsTableName", "RecordsTableName"):
            assert after.outputs[output] != self._before.outputs[output]
            assert self._before.outputs[output] in tables, "the old table stays"
