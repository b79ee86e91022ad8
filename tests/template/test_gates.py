"""The four gates accept the template, and each rejects the defects that it checks for."""

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
class Defect:
    """A replacement in a file of the template, the gate that must report it, and its message."""

    file: str
    valid: str
    faulty: str
    gate: str
    complaint: str


DEFECTS = {
    "a missing state": Defect(
        "statemachines/run.asl.json",
        '"Next": "CloseRun"',
        '"Next": "CloseRum"',
        "states",
        "CloseRum",
    ),
    "an invalid retry of the states language": Defect(
        "statemachines/run.asl.json",
        '"MaxAttempts": 6',
        '"MaxAttempts": -6',
        "states",
        "MaxAttempts",
    ),
    "a missing substitution": Defect(
        "template.yaml",
        "        CloseRunFunctionArn: !GetAtt CloseRunFunction.Arn\n",
        "",
        "cloudformation",
        "CloseRunFunctionArn",
    ),
    "a URL with an unknown invoke mode": Defect(
        "template.yaml",
        "InvokeMode: RESPONSE_STREAM",
        "InvokeMode: STREAM",
        "cloudformation",
        "STREAM",
    ),
    "a function that depends on the state machine that calls it": Defect(
        "template.yaml",
        "          DELTA_FLUSH_MS:",
        "          RUN_STATE_MACHINE_ARN: !Ref RunStateMachine\n          DELTA_FLUSH_MS:",
        "cloudformation",
        "ircular",
    ),
    "an unknown attribute of a resource": Defect(
        "template.yaml",
        "!GetAtt HttpApi.ApiEndpoint",
        "!GetAtt HttpApi.ApiEndpiont",
        "sam-lint",
        "ApiEndpiont",
    ),
    "a missing resource": Defect(
        "template.yaml",
        "[CreatesEventsTable, !Ref EventsTable,",
        "[CreatesEventsTable, !Ref EventTable,",
        "cloudformation",  # Not sam-lint: it does not check SAM resources.
        "EventTable",
    ),
    "an unknown property of a SAM resource": Defect(
        "template.yaml",
        "      CodeUri: functions/api\n",
        "      CodeUri: functions/api\n      Timout: 5\n",
        "sam",
        "Timout",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS.keys())
def test_a_gate_rejects(defect: Defect, copy: Path, check_template: Check) -> None:
    path = copy / defect.file
    text = path.read_text()
    assert defect.valid in text
    path.write_text(text.replace(defect.valid, defect.faulty, 1))

    done = check_template(defect.gate, "--template", str(copy / "template.yaml"))

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"template gate {defect.gate}: FAILED" in done.stdout
    assert defect.complaint in done.stdout


def test_a_folder_without_a_state_machine_is_rejected(copy: Path, check_template: Check) -> None:
    """A checker without input reports no errors, so the gate must fail."""
    for definition in (copy / "statemachines").iterdir():
        definition.unlink()
    done = check_template("states", "--template", str(copy / "template.yaml"))
    assert done.returncode == 1
