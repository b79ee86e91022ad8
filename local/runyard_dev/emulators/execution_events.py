"""Invoke functions when an execution fails, as an EventBridge rule on its status does on AWS.

moto sends no such events. The rules are those of the template.
"""

import json
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.backend.execution import Execution

from runyard_dev.lambda_.tasks import LambdaTasks

# State machine ARN → status of a failed execution → names of the functions to invoke.
Watchers = Mapping[str, Mapping[str, tuple[str, ...]]]


def report(client: LambdaTasks, watchers: Watchers, execution: Execution) -> None:
    """Send the execution's status to its watchers, without waiting."""
    for function in watchers.get(execution.state_machine.arn, {}).get(execution.status, ()):
        arguments = {
            "FunctionName": function,
            "InvocationType": "Event",
            "Payload": json.dumps(_status_change(execution)).encode(),
        }
        threading.Thread(target=_invoke_once, args=(client, arguments), daemon=True).start()


def _invoke_once(client: LambdaTasks, arguments: dict[str, Any]) -> None:
    try:
        client.invoke(**arguments)
    except ClientError as exc:
        # EventBridge would retry for a day. The next sweep finds the runs instead.
        print(
            f"{arguments['FunctionName']} did not receive the event of an execution: {exc}",
            flush=True,
        )


def _status_change(execution: Execution) -> dict[str, Any]:
    detail = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine.arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": _milliseconds(execution.start_date),
        "stopDate": _milliseconds(execution.stop_date),
        "input": json.dumps(execution.input_data),
        "output": None,
        "error": execution.error,
        "cause": execution.cause,
    }
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": execution.account_id,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": execution.region_name,
        "resources": [execution.exec_arn],
        "detail": detail,
    }


def _milliseconds(moment: Any) -> int | None:
    return int(moment.timestamp() * 1000) if isinstance(moment, datetime) else None
