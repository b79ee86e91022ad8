"""Step Functions on loopback: boto3's own calls, answered by the state machine in hand."""

import json
import time
from typing import Any

from tests.crashes.state_machine import Execution, ServiceError, StateMachine
from tests.servers.loopback import Exchange, LoopbackServer, Received

MACHINE_ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:crashes"
_EXECUTION_ARN = MACHINE_ARN.replace(":stateMachine:", ":execution:")


def step_functions(machine: StateMachine) -> LoopbackServer:
    """A server for the four calls that Runyard makes."""

    def answer(received: Received, exchange: Exchange) -> None:
        operation = received.headers["x-amz-target"].partition(".")[2]
        try:
            body = _answer(machine, operation, received.json)
        except ServiceError as error:
            exchange.send_json(400, {"__type": str(error), "message": "refused"})
        else:
            exchange.send_json(200, body)

    return LoopbackServer(answer)


def _answer(machine: StateMachine, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
    name = asked.get("executionArn", "").rpartition(":")[2]
    match operation:
        case "StartExecution":
            return _shown(machine.start(asked["name"], json.loads(asked["input"])))
        case "DescribeExecution":
            return _shown(machine.find(name)) | {"stateMachineArn": MACHINE_ARN}
        case "StopExecution":
            _may_refuse(machine)
            machine.stop(name)
            return {"stopDate": time.time()}
        case "SendTaskSuccess":
            _may_refuse(machine)
            machine.succeed(asked["taskToken"])
            return {}
        case _:
            raise AssertionError(f"{operation} is not answered here")


def _may_refuse(machine: StateMachine) -> None:
    if machine.refusals:
        machine.refusals -= 1
        raise ServiceError("ServiceUnavailable")


def _shown(execution: Execution) -> dict[str, Any]:
    return {
        "executionArn": f"{_EXECUTION_ARN}:{execution.name}",
        "startDate": time.time(),
        "status": execution.status,
    }
