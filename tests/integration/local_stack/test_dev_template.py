"""Test how the local stack reads a template, including the template of the repository."""

import json
from pathlib import Path

import pytest

from runyard_dev.template.cloudformation import Resolver, load_document
from runyard_dev.template.template import read_template

REPOSITORY = Path(__file__).resolve().parents[3]

TEMPLATE = """
Parameters:
  Stage: { Type: String, Default: dev }
  Names: { Type: CommaDelimitedList, Default: "a,b" }
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsDev: !Not [!Condition IsProd]
Mappings: { Sizes: { dev: { memory: 256 }, prod: { memory: 1024 } } }
Globals:
  Function:
    Timeout: 7
    Environment: { Variables: { SHARED: global, STAGE: !Ref Stage } }
Resources:
  EventsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${AWS::StackName}-${Stage}-events"
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      StreamSpecification: { StreamViewType: NEW_IMAGE }
      TimeToLiveSpecification: { AttributeName: expires_at, Enabled: true }
      SSESpecification: !If [IsProd, { SSEEnabled: true }, !Ref AWS::NoValue]
  Skipped: { Type: AWS::S3::Bucket, Condition: IsProd }
  UploadBucket: { Type: AWS::S3::Bucket }
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: { StartAt: "${Start}" }
      DefinitionSubstitutions: { Start: 'say "hi"' }
  StepFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/step
      Handler: handler.lambda_handler
      MemorySize: !FindInMap [Sizes, !Ref Stage, memory]
      Environment:
        Variables:
          SHARED: own
          TABLE: !Ref EventsTable
          MACHINE: !Ref Machine
          URL: !GetAtt OtherUrl.FunctionUrl
          JOINED: !Join ["+", !Ref Names]
          TEXT: !Sub ["${Own}/${UploadBucket.Arn}/${!Literal}", { Own: mine }]
          FLAG: !If [IsDev, true, false]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write the template above to a file."""
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return path


def test_functions_of_the_template_language_become_local_values(path: Path) -> None:
    function = read_template(path).functions["StepFunction"]
    assert function.environment == {
        "SHARED": "own",
        "STAGE": "dev",
        "TABLE": "runyard-dev-events",
        "MACHINE": "arn:aws:states:us-east-1:123456789012:stateMachine:runyard-machine",
        "URL": "runyard-other-url.FunctionUrl",
        "JOINED": "a+b",
        "TEXT": "mine/arn:aws:s3:::runyard-upload-bucket/${Literal}",
        "FLAG": "true",
    }
    assert (function.timeout_seconds, function.memory_mb) == (7, 256)
    assert function.code_dir == path.parent / "functions" / "step"


def test_a_table_becomes_arguments_of_create_table(path: Path) -> None:
    (table,) = read_template(path, parameters={"Stage": "prod"}).tables
    assert table.arguments == {
        "TableName": "runyard-prod-events",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    }
    assert table.ttl_attribute == "expires_at"


def test_a_resource_whose_condition_does_not_hold_is_left_out(path: Path) -> None:
    assert read_template(path).buckets == ("runyard-upload-bucket",)
    in_prod = read_template(path, parameters={"Stage": "prod"})
    assert in_prod.buckets == ("runyard-skipped", "runyard-upload-bucket")


def test_a_substitution_in_a_json_string_is_escaped(path: Path) -> None:
    (machine,) = read_template(path).state_machines
    assert json.loads(machine.definition) == {"StartAt": 'say "hi"'}


def test_no_value_and_policy_conditions_are_supported(path: Path) -> None:
    resolver = Resolver(load_document(path), stack_name="s")
    assert resolver.resolve({"a": {"Ref": "AWS::NoValue"}, "b": 1}) == {"b": 1}
    assert resolver.resolve({"Condition": {"Bool": {"x": "false"}}}) == {
        "Condition": {"Bool": {"x": "false"}}
    }


def test_the_template_of_the_repository_describes_the_whole_stack() -> None:
    template = read_template(REPOSITORY / "template.yaml")
    assert len(template.tables) == 2
    assert len(template.buckets) == 1
    assert len(template.secrets) == 1
    assert "SweepFunction" in template.functions
    called = [function.arn for function in template.functions.values()]
    for machine in template.state_machines:
        assert "${" not in machine.definition
    assert [
        sum(arn in machine.definition for arn in called) for machine in template.state_machines
    ] == [2, 3]
    machines = ("RUN_STATE_MACHINE_ARN", "RESUME_STATE_MACHINE_ARN")
    for name in ("EVENTS_TABLE", "RECORDS_TABLE", "BUCKET", *machines, "TICKET_SECRET_ID"):
        assert template.environment()[name]
