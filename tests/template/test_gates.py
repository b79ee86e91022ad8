"""The four gates let the template pass, and each stops the fault that it is there for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Check = Callable[..., "CompletedProcess[str]"]


def test_the_template_passes_all_gates(check_template: Check) -> None:
    done = check_template()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.endswith(": ok")] == [
        "template gate sam: ok",
        "template gate sam-lint: ok",
        "template gate cloudformation: ok",
        "template gate states: ok",
    ]


@dataclass(frozen=True)
class Fault:
    """A replacement in a file of the template, the gate that has to see it, and what it says."""

    file: str
    sound: str
    faulty: str
    gate: str
    complaint: str


FAULTS = {
    "a state that is not there": Fault(
        "statemachines/run.asl.json",
        '"Next": "CloseRun"',
        '"Next": "CloseRum"',
        "states",
        "CloseRum",
    ),
    "a retry that the states language does not know": Fault(
        "statemachines/run.asl.json",
        '"MaxAttempts": 6',
        '"MaxAttempts": -6',
        "states",
        "MaxAttempts",
    ),
    "a substitution that is not given": Fault(
        "template.yaml",
        "        CloseRunFunctionArn: !GetAtt CloseRunFunction.Arn\n",
        "",
        "cloudformation",
        "CloseRunFunctionArn",
    ),
    "a URL of an unknown kind": Fault(
        "template.yaml",
        "InvokeMode: RESPONSE_STREAM",
        "InvokeMode: STREAM",
        "cloudformation",
        "STREAM",
    ),
    "a function that needs the machine that calls it": Fault(
        "template.yaml",
        "          DELTA_FLUSH_MS:",
        "          RUN_STATE_MACHINE_ARN: !Ref RunStateMachine\n          DELTA_FLUSH_MS:",
        "cloudformation",
        "ircular",
    ),
    "an attribute that a resource does not have": Fault(
        "template.yaml",
        "!GetAtt HttpApi.ApiEndpoint",
        "!GetAtt HttpApi.ApiEndpiont",
        "sam-lint",
        "ApiEndpiont",
    ),
    "a resource that is not there": Fault(
        "template.yaml",
        "          EVENTS_TABLE: !Ref EventsTable",
        "          EVENTS_TABLE: !Ref EventTable",
        "cloudformation",  # Not sam-lint: in a SAM resource it does not look.
        "EventTable",
    ),
    "a property that SAM does not know": Fault(
        "template.yaml",
        "      CodeUri: functions/api\n",
        "      CodeUri: functions/api\n      Timout: 5\n",
        "sam",
        "Timout",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_gate_stops(fault: Fault, copy: Path, check_template: Check) -> None:
    path = copy / fault.file
    text = path.read_text()
    assert fault.sound in text
    path.write_text(text.replace(fault.sound, fault.faulty, 1))

    done = check_template(fault.gate, "--template", str(copy / "template.yaml"))

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"template gate {fault.gate}: FAILED" in done.stdout
    assert fault.complaint in done.stdout


def test_a_folder_without_a_state_machine_does_not_pass(copy: Path, check_template: Check) -> None:
    """A checker that found nothing to check has found nothing wrong, either."""
    for definition in (copy / "statemachines").iterdir():
        definition.unlink()
    done = check_template("states", "--template", str(copy / "template.yaml"))
    assert done.returncode == 1
