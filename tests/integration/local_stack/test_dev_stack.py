"""Test the local stack end to end with a small product, and kill its processes."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from runyard_dev.dev_stack import DevStack
from runyard_dev.processes.process import READY_SECONDS
from tests.support.wait_until import wait_until

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Handler: handler.lambda_handler
    Timeout: 20
    Environment: { Variables: { EVENTS_TABLE: !Ref EventsTable, RECORDS_TABLE: !Ref EventsTable } }
Resources:
  EventsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      TimeToLiveSpecification: { AttributeName: expires_at, Enabled: true }
  Bucket: { Type: AWS::S3::Bucket }
  TicketSecret:
    Type: AWS::SecretsManager::Secret
    Properties: { GenerateSecretString: { PasswordLength: 40, ExcludePunctuation: true } }
  RunStateMachine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine.asl.json
      DefinitionSubstitutions:
        StepArn: !GetAtt StepFunction.Arn
        AskArn: !GetAtt AskFunction.Arn
  StepFunction: { Type: AWS::Serverless::Function, Properties: { CodeUri: functions/step } }
  AskFunction: { Type: AWS::Serverless::Function, Properties: { CodeUri: functions/ask } }
  SlowFunction:
    Type: AWS::Serverless::Function
    Properties: { CodeUri: functions/slow, Timeout: 1 }
  SweepFunction: { Type: AWS::Serverless::Function, Properties: { CodeUri: functions/sweep } }
  DeathFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/death
      Events:
        Died:
          Type: EventBridgeRule
          Properties:
            Pattern:
              source: [aws.states]
              detail: { stateMachineArn: [!Ref RunStateMachine], status: [FAILED, ABORTED] }
"""

# Time for a process of the stack to become ready again, also for the calling process: its
# token is in the table before the response, and the call fails if Lambda is killed in between.
RETRY = [
    {
        "ErrorEquals": ["Lambda.SdkClientException"],
        "IntervalSeconds": 1,
        "MaxAttempts": READY_SECONDS,
        "BackoffRate": 1.0,
    }
]

MACHINE = {
    "StartAt": "Step",
    "States": {
        "Step": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${StepArn}", "Payload.$": "$"},
            "OutputPath": "$.Payload",
            "Retry": RETRY,
            "Catch": [
                {"ErrorEquals": ["RejectedError"], "ResultPath": "$.error", "Next": "Caught"}
            ],
            "Next": "Ask",
        },
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {
                "FunctionName": "${AskArn}",
                "Payload": {"id.$": "$.id", "token.$": "$$.Task.Token"},
            },
            "TimeoutSeconds": 600,
            "Retry": RETRY,
            "ResultPath": "$.answer",
            "End": True,
        },
        "Caught": {"Type": "Succeed"},
    },
}

PUT = """
import os, boto3
table = boto3.client("dynamodb")
def write(pk, **fields):
    item = {name: {"S": str(value)} for name, value in {"pk": pk, **fields}.items()}
    table.put_item(TableName=os.environ["EVENTS_TABLE"], Item=item)
"""

HANDLERS = {
    "step": """
class RejectedError(Exception): pass
class BrokenError(Exception): pass
def lambda_handler(event, context):
    if event.get("reject"):
        raise RejectedError("no")
    if event.get("break"):
        raise BrokenError("oh")
    return {"id": event["id"], "left": context.get_remaining_time_in_millis()}
""",
    "ask": PUT
    + """
def lambda_handler(event, context):
    write("token#" + event["id"], token=event["token"])
""",
    "slow": """
import time
def lambda_handler(event, context):
    time.sleep(3)
""",
    "sweep": PUT
    + """
def lambda_handler(event, context):
    write("sweep", everything=event.get("everything"))
""",
    "death": PUT
    + """
def lambda_handler(event, context):
    write("death#" + event["detail"]["name"], status=event["detail"]["status"])
""",
}


def write_repository(folder: Path) -> Path:
    """Write a product to a folder whose name has a space."""
    repository = folder / "a repository"
    for name, code in HANDLERS.items():
        path = repository / "functions" / name / "handler.py"
        path.parent.mkdir(parents=True)
        path.write_text(code)
    (repository / "template.yaml").write_text(TEMPLATE)
    (repository / "machine.asl.json").write_text(json.dumps(MACHINE))
    (repository / "agents").mkdir()
    return repository


def start(repository: Path, **arguments: Any) -> DevStack:
    """Start a stack of the repository without a web server."""
    defaults = {"data_dir": repository / ".runyard", "web": False, "seed": False}
    defaults["sweep_seconds"] = 1000
    return DevStack.start(repository=repository, **{**defaults, **arguments})


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """Yield the stack of the tests that do not damage it."""
    with start(write_repository(tmp_path_factory.mktemp("shared"))) as running:
        yield running


def item(stack: DevStack, pk: str) -> dict[str, str] | None:
    """Return an item of the table, with its values as text."""
    found = stack.client("dynamodb").get_item(
        TableName=stack.environment["EVENTS_TABLE"], Key={"pk": {"S": pk}}, ConsistentRead=True
    )
    return {key: value["S"] for key, value in found["Item"].items()} if "Item" in found else None


def machine_arn(stack: DevStack) -> str:
    """Return the ARN of the only state machine."""
    machines = stack.client("stepfunctions").list_state_machines()["stateMachines"]
    return str(machines[0]["stateMachineArn"])


def run(stack: DevStack, name: str, **fields: Any) -> str:
    """Start an execution; return its ARN."""
    started = stack.client("stepfunctions").start_execution(
        stateMachineArn=machine_arn(stack), name=name, input=json.dumps({"id": name, **fields})
    )
    return str(started["executionArn"])


def status(stack: DevStack, arn: str) -> str:
    """Return the status of an execution."""
    return str(stack.client("stepfunctions").describe_execution(executionArn=arn)["status"])


def test_an_execution_waits_for_its_answer_and_ends(stack: DevStack) -> None:
    arn = run(stack, "waits")
    token = wait_until(lambda: item(stack, "token#waits"))["token"]
    assert status(stack, arn) == "RUNNING"
    stack.client("stepfunctions").send_task_success(taskToken=token, output='{"ok": true}')
    wait_until(lambda: status(stack, arn) == "SUCCEEDED")


def test_a_hundred_executions_at_once_are_all_answered(stack: DevStack) -> None:
    names = [f"many-{number}" for number in range(100)]
    states = stack.client("stepfunctions")
    machine = machine_arn(stack)

    def start_one(name: str) -> str:
        started = states.start_execution(
            stateMachineArn=machine, name=name, input=json.dumps({"id": name})
        )
        return str(started["executionArn"])

    def answer(name: str) -> None:
        token = wait_until(lambda: item(stack, f"token#{name}"))["token"]
        states.send_task_success(taskToken=token, output="{}")

    with ThreadPoolExecutor(100) as pool:
        arns = list(pool.map(start_one, names))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(answer, names))
    wait_until(lambda: all(status(stack, arn) == "SUCCEEDED" for arn in arns))


def test_concurrent_starts_with_the_same_name_run_once(stack: DevStack) -> None:
    with ThreadPoolExecutor(16) as pool:
        arns = set(pool.map(lambda _: run(stack, "twice"), range(16)))
    assert len(arns) == 1
    listed = stack.client("stepfunctions").list_executions(stateMachineArn=machine_arn(stack))
    assert [each["name"] for each in listed["executions"]].count("twice") == 1


def test_a_raised_error_is_caught_by_its_class_name(stack: DevStack) -> None:
    arn = run(stack, "rejected", reject=True)
    wait_until(lambda: status(stack, arn) == "SUCCEEDED")
    output = stack.client("stepfunctions").describe_execution(executionArn=arn)["output"]
    assert json.loads(output)["error"]["Error"] == "RejectedError"


def test_a_failed_execution_invokes_the_function_of_the_rule(stack: DevStack) -> None:
    arn = run(stack, "breaks", **{"break": True})
    wait_until(lambda: status(stack, arn) == "FAILED")
    assert wait_until(lambda: item(stack, "death#breaks"))["status"] == "FAILED"


def test_stopping_a_waiting_execution_aborts_it_at_once(stack: DevStack) -> None:
    arn = run(stack, "stopped")
    token = wait_until(lambda: item(stack, "token#stopped"))["token"]
    states = stack.client("stepfunctions")
    states.stop_execution(executionArn=arn, error="Canceled", cause="by a person")
    assert status(stack, arn) == "ABORTED"
    assert wait_until(lambda: item(stack, "death#stopped"))["status"] == "ABORTED"
    with pytest.raises(ClientError):
        states.send_task_success(taskToken=token, output="{}")
    time.sleep(0.5)
    assert status(stack, arn) == "ABORTED"


def test_stopping_an_execution_immediately_after_its_start_aborts_it(stack: DevStack) -> None:
    for number in range(10):
        arn = run(stack, f"hasty-{number}")
        stack.client("stepfunctions").stop_execution(executionArn=arn)
        assert status(stack, arn) == "ABORTED"


def test_lambda_reports_errors_timeouts_and_unknown_functions(stack: DevStack) -> None:
    invoke = stack.client("lambda").invoke
    failed = invoke(FunctionName="runyard-step-function", Payload=b'{"break": 1}')
    assert failed["FunctionError"] == "Unhandled"
    assert json.load(failed["Payload"])["errorType"] == "BrokenError"
    late = invoke(FunctionName="runyard-slow-function", Payload=b"{}")
    assert json.load(late["Payload"])["errorType"] == "Sandbox.Timedout"
    accepted = invoke(
        FunctionName="runyard-step-function", InvocationType="Event", Payload=b'{"id": 1}'
    )
    assert accepted["StatusCode"] == 202
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        invoke(FunctionName="unknown", Payload=b"{}")


def test_the_sample_services_answer(stack: DevStack) -> None:
    base = json.loads(stack.environment["AGENT_VARIABLES"])["CRM_URL"]
    with urllib.request.urlopen(f"{base}/customers/customer-1") as answer:
        assert set(json.load(answer)) == {"customer_tier", "open_tickets"}
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{base}/customers/customer-503")
    order = json.dumps({"order_id": "4812", "amount": 5}).encode()
    request = urllib.request.Request(f"{base}/refunds", order, {"Idempotency-Key": "call-1"})
    first, second = (json.load(urllib.request.urlopen(request)) for _ in range(2))
    assert first == second == {"refund_id": "refund-1", "status": "refunded"}


def test_the_first_sweep_checks_everything(stack: DevStack) -> None:
    assert (item(stack, "sweep") or {})["everything"] == "True"
