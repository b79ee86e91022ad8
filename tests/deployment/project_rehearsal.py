"""A project that has only the wheels: create, build, deploy, run, upgrade and delete it."""

import os
import subprocess
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from tests.deployment.build import Build
from tests.deployment.emulator import READY_SECONDS, running_emulator, wait_for_endpoints
from tests.deployment.steps import Step
from tests.support.deployed_stack import DeployedStack
from tests.support.service import Service
from tests.support.wheels import NEWER_VERSION, build_wheels, install_wheels, newer_source

_NAME = "shop"
_STACK = f"{_NAME}-dev"
_APPROVAL = {"is_approved": True, "params": {"amount": 30}}
_OUTPUT = {"paid": "paid 30 for order 7"}


@dataclass
class ProjectRehearsal:
    """A running emulator, and an environment with the wheels in a folder of its own."""

    build: Build
    folder: Path
    waiting_run: str = ""
    """A run that was started before the upgrade and waits for a person."""
    key: str = ""

    @classmethod
    @contextmanager
    def start(cls, build: Build, temporary: Path) -> Iterator["ProjectRehearsal"]:
        """Start the emulator; end it afterwards."""
        folder = temporary.resolve() / "my projects"
        folder.mkdir()
        with running_emulator(build, temporary):
            yield cls(build, folder)

    def steps(self) -> list[Step]:
        """Return what is done, in this order."""
        return [
            Step("runyard new, from the wheels", self._create),
            Step("sam build and sam deploy of the project", self._deploy),
            Step("a run of its agent, which waits", self._run_agent),
            Step("an upgrade of the wheels, and runyard vendor", self._upgrade),
            Step("sam delete of the project", self._delete),
        ]

    def _create(self) -> str:
        environment = self.folder / "environment"
        venv.create(environment, symlinks=True)
        install_wheels(self._python, build_wheels(Path.cwd(), self.folder / "dist"))
        (site,) = environment.glob("lib/python*/site-packages")
        # The packages of others. Python ignores the .pth files there, and so this repository.
        (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
        self._runyard("new", _NAME, folder=self.folder)
        command = [str(self._python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        subprocess.run(command, cwd=self._project, env=self._outside, check=True)
        return "`runyard new` creates a project from the wheels, and its tests pass"

    def _deploy(self) -> str:
        self._build_and_deploy()
        self.key = self._runyard("keys", "create", "--stack", _STACK, "--project", "p").strip()
        return "its template builds, and deploys by the project's samconfig.toml"

    def _run_agent(self) -> str:
        service = self._service()
        run = service.create({"order": 7})
        run = service.wait(str(run["id"]), "awaiting_input", "failed", seconds=READY_SECONDS)
        assert run["status"] == "awaiting_input", run
        self.waiting_run = str(service.create({"order": 7})["id"])
        service.wait(self.waiting_run, "awaiting_input", seconds=READY_SECONDS)
        self._complete(service, str(run["id"]))
        service.close()
        return "its agent runs in its own function, calls the tool, and asks a person"

    def _upgrade(self) -> str:
        before = DeployedStack.read(_STACK).outputs
        newer = newer_source(Path.cwd(), self.folder / "newer")
        install_wheels(self._python, build_wheels(newer, self.folder / "newer-dist"))
        changes = self._runyard("vendor")
        assert "changed  template.yaml" in changes, changes
        app = self._project / "refunds/app.py"
        code = app.read_text(encoding="utf-8")
        app.write_text(code.replace('f"paid ', 'f"refunded '), encoding="utf-8")
        self._build_and_deploy()
        after = DeployedStack.read(_STACK).outputs
        assert after.pop("Newer") == _STACK
        assert after == before, "an upgrade moved what it should leave"
        service = self._service()
        assert service.run(self.waiting_run)["status"] == "awaiting_input"
        self._complete(service, self.waiting_run)
        new = service.create({"order": 7})
        service.wait(str(new["id"]), "awaiting_input", seconds=READY_SECONDS)
        self._complete(service, str(new["id"]), {"paid": "refunded 30 for order 7"})
        service.close()
        self._runyard("agents", "publish", "--stack", _STACK)
        return (
            f"the project is upgraded to runyard-service {NEWER_VERSION}; a run that waited"
            " completes with the code with which it started"
        )

    def _delete(self) -> str:
        outputs = DeployedStack.read(_STACK).outputs
        self._sam("delete", "--stack-name", _STACK, "--no-prompts")
        tables = boto3.client("dynamodb").list_tables()["TableNames"]
        assert {outputs["EventsTableName"], outputs["RecordsTableName"]} <= set(tables)
        return "`sam delete` removes the project's stack and leaves the tables"

    @property
    def _project(self) -> Path:
        return self.folder / _NAME

    @property
    def _python(self) -> Path:
        return self.folder / "environment/bin/python"

    @property
    def _outside(self) -> dict[str, str]:
        """The environment without the modules of this repository."""
        return {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}

    def _build_and_deploy(self) -> None:
        self._sam("build")
        self.build.exchange_wheels(self._project / ".aws-sam/build")
        self._sam("deploy")

    def _complete(self, service: Service, run_id: str, output: Mapping[str, str] = _OUTPUT) -> None:
        answer = service.answer(service.run(run_id), **_APPROVAL)
        assert answer.status_code == 200, answer.text
        run = service.wait(run_id, "completed", "failed", seconds=READY_SECONDS)
        assert run.get("output") == output, run

    def _service(self) -> Service:
        outputs = DeployedStack.read(_STACK).outputs
        wait_for_endpoints(outputs)
        return Service(outputs["ApiUrl"].rstrip("/"), self.key)

    def _sam(self, *words: str) -> None:
        command = [str(self.build.sam.absolute()), "-m", "samcli", *words]
        subprocess.run(command, cwd=self._project, env=self.build.environment, check=True)

    def _runyard(self, *words: str, folder: Path | None = None) -> str:
        """Run the `runyard` command of the wheels in the project; return what it prints."""
        command = [str(self._python), "-I", "-m", "runyard", *words]
        where = folder or self._project
        return subprocess.check_output(command, cwd=where, env=self._outside, text=True)
