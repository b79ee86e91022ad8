"""Step Functions on loopback: boto3's own calls, answered by the state machine in hand."""

import json
import time
from typing import Any

from tests.crashes.state_machine import Execution, ServiceError, StateMachines, arn_of
from tests.support.servers.loopback import Exchange, LoopbackServer, Received


def step_functions(machines: StateMachines) -> LoopbackServer:
    """A server for the four calls that Runyard makes."""

    def answer(received: Received, exchange: Exchange) -> None:
        operation = received.headers["x-amz-target"].partition(".")[2]
        try:
            body = _answer(machines, operation, received.json)
        except ServiceError as error:
            exchange.send_json(400, {"__type": str(error), "message": "refused"})
        else:
            exchange.send_json(200, body)

    return LoopbackServer(answer)


def _answer(machines: StateMachines, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
    match operation:
        case "StartExecution":
            given = json.loads(asked["input"])
            return _shown(machines.start(asked["stateMachineArn"], asked["name"], given))
        case "DescribeExecution":
            execution = machines.find(asked["executionArn"])
            return _shown(execution) | {"stateMachineArn": arn_of(execution.machine)}
        case "StopExecution":
            _may_refuse(machines)
            machines.stop(machines.find(asked["executionArn"]))
            return {"stopDate": time.time()}
        case "SendTaskSuccess":
            _may_refuse(machines)
            machines.succeed(asked["taskToken"])
            return {}
        case _:
            raise AssertionError(f"{operation} is not answered here")


def _may_refuse(machines: StateMachines) -> None:
    if machines.refusals:
        machines.refusals -= 1
        raise ServiceError("ServiceUnavailable")


def _shown(execution: Execution) -> dict[str, Any]:
    return {
        "executionArn": f"{arn_of(execution.machine)}:{execution.name}",
        "startDate": time.time(),
        "status": execution.status,
    }
