"""The Step Functions API on loopback, for the simulated state machines."""

import json
import time
from typing import Any

from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.state_machines import Execution, StateMachines, StepFunctionsError, arn_of


def step_functions_server(state_machines: StateMachines) -> LoopbackServer:
    """Return a server for the four operations that the service calls."""

    def respond(received: Received, exchange: Exchange) -> None:
        operation = received.headers["x-amz-target"].partition(".")[2]
        try:
            body = _call(state_machines, operation, received.json)
        except StepFunctionsError as error:
            exchange.send_json(400, {"__type": str(error), "message": "rejected by the test"})
        else:
            exchange.send_json(200, body)

    return LoopbackServer(respond)


def _call(machines: StateMachines, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    match operation:
        case "StartExecution":
            arguments = json.loads(parameters["input"])
            arn, name = parameters["stateMachineArn"], parameters["name"]
            return _describe(machines.start_execution(arn, name, arguments))
        case "DescribeExecution":
            execution = machines.find_execution(parameters["executionArn"])
            return _describe(execution) | {"stateMachineArn": arn_of(execution.state_machine)}
        case "StopExecution":
            _fail_if_requested(machines)
            machines.stop_execution(machines.find_execution(parameters["executionArn"]))
            return {"stopDate": time.time()}
        case "SendTaskSuccess":
            _fail_if_requested(machines)
            machines.complete_wait(parameters["taskToken"])
            return {}
        case _:
            raise AssertionError(f"the server has no {operation}; add it to this module")


def _fail_if_requested(machines: StateMachines) -> None:
    if machines.failing_calls:
        machines.failing_calls -= 1
        raise StepFunctionsError("ServiceUnavailable")


def _describe(execution: Execution) -> dict[str, Any]:
    return {
        "executionArn": execution.arn,
        "startDate": time.time(),
        "status": execution.status,
    }
