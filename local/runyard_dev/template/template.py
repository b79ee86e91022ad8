"""Read the resources of `template.yaml` for the local stack.

The deployed template is the only description of tables, buckets, secrets, queues, state machines
and functions. The local stack creates the same resources.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runyard_dev.template.cloudformation import ACCOUNT_ID, DEFAULT_REGION, Resolver, load_document
from runyard_dev.template.sources import EventSource, Queue, event_source, queue

STACK_NAME = "runyard"

_TABLE_KEYS = (
    "TableName",
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "LocalSecondaryIndexes",
)
_INDEX_KEYS = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput")


@dataclass(frozen=True)
class Table:
    """A table as arguments of boto3's `create_table`, and the attribute that expires its items."""

    name: str
    arguments: dict[str, Any]
    ttl_attribute: str | None


@dataclass(frozen=True)
class Secret:
    """A secret: its name, and its text or the `GenerateSecretString` of its value."""

    name: str
    generate: dict[str, Any] | None
    text: str | None


@dataclass(frozen=True)
class StateMachine:
    """A state machine. Its definition has the values of the substitutions."""

    logical_id: str
    name: str
    arn: str
    type: str
    definition: str
    role_arn: str


@dataclass(frozen=True)
class Function:
    """A Lambda function: its code, its handler and its environment."""

    logical_id: str
    name: str
    arn: str
    code_dir: Path
    handler: str
    timeout_seconds: int
    memory_mb: int
    environment: dict[str, str]
    serves_http: bool
    """It answers HTTP requests; here the web server does that."""
    watches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """State machine ARN → statuses of its executions that an EventBridge rule sends here."""


@dataclass(frozen=True)
class LocalTemplate:
    """The resources of the template that the local stack creates."""

    region: str
    tables: tuple[Table, ...]
    buckets: tuple[str, ...]
    secrets: tuple[Secret, ...]
    state_machines: tuple[StateMachine, ...]
    functions: dict[str, Function]
    queues: tuple[Queue, ...] = ()
    buses: tuple[str, ...] = ()
    event_sources: tuple[EventSource, ...] = ()

    def without_streams(self) -> "LocalTemplate":
        """Return the template without streams of tables: writes are cheaper."""
        return replace(
            self,
            tables=tuple(
                replace(
                    table,
                    arguments={
                        name: value
                        for name, value in table.arguments.items()
                        if name != "StreamSpecification"
                    },
                )
                for table in self.tables
            ),
        )

    def environment(self) -> dict[str, str]:
        """Return the variables of all functions. A later function overrides an earlier one.

        One process runs all functions. `AWS_…` variables are absent: they configure Lambda itself.
        """
        merged: dict[str, str] = {}
        for function in self.functions.values():
            merged |= function.environment
        return {name: value for name, value in merged.items() if not name.startswith("AWS_")}


def read_template(
    path: Path,
    *,
    parameters: Mapping[str, str] | None = None,
    region: str = DEFAULT_REGION,
    stack_name: str = STACK_NAME,
) -> LocalTemplate:
    """Return the template at `path`. Relative paths in it start at its folder."""
    document = load_document(path)
    resolver = Resolver(document, stack_name=stack_name, region=region, parameters=parameters)
    defaults = document.get("Globals", {}).get("Function", {})
    by_type: dict[str, dict[str, dict[str, Any]]] = {}
    for logical_id, resource in document["Resources"].items():
        if resolver.is_active(resource):
            of_type = by_type.setdefault(resource["Type"], {})
            of_type[logical_id] = resource.get("Properties", {}) or {}

    functions = by_type.get("AWS::Serverless::Function", {}).items()
    machines = by_type.get("AWS::Serverless::StateMachine", {}).items()
    tables = by_type.get("AWS::DynamoDB::Table", {}).items()
    secrets = by_type.get("AWS::SecretsManager::Secret", {}).items()
    queues = by_type.get("AWS::SQS::Queue", {}).items()
    sources = by_type.get("AWS::Lambda::EventSourceMapping", {}).values()
    return LocalTemplate(
        region=region,
        tables=tuple(_table(resolver, logical_id, raw) for logical_id, raw in tables),
        buckets=tuple(resolver.name_of(name) for name in by_type.get("AWS::S3::Bucket", {})),
        secrets=tuple(_secret(resolver, logical_id, raw) for logical_id, raw in secrets),
        state_machines=tuple(_machine(resolver, path.parent, *item) for item in machines),
        functions={
            logical_id: _function(resolver, path.parent, logical_id, raw, defaults)
            for logical_id, raw in functions
        },
        queues=tuple(queue(resolver, logical_id, raw) for logical_id, raw in queues),
        buses=tuple(resolver.name_of(name) for name in by_type.get("AWS::Events::EventBus", {})),
        event_sources=tuple(event_source(resolver, raw) for raw in sources),
    )


def _table(resolver: Resolver, logical_id: str, raw: dict[str, Any]) -> Table:
    properties = resolver.resolve(raw)
    name = resolver.name_of(logical_id)
    arguments = {key: properties[key] for key in _TABLE_KEYS if key in properties}
    arguments["TableName"] = name
    if "BillingMode" not in arguments and "ProvisionedThroughput" not in arguments:
        arguments["BillingMode"] = "PAY_PER_REQUEST"
    if indexes := properties.get("GlobalSecondaryIndexes"):
        arguments["GlobalSecondaryIndexes"] = [
            {key: index[key] for key in _INDEX_KEYS if key in index} for index in indexes
        ]
    if stream := properties.get("StreamSpecification"):
        # CloudFormation has no StreamEnabled, but the API requires it.
        arguments["StreamSpecification"] = {"StreamEnabled": True, **stream}
    expiry = properties.get("TimeToLiveSpecification", {})
    ttl_attribute = expiry.get("AttributeName") if expiry.get("Enabled") else None
    return Table(name, arguments, ttl_attribute)


def _secret(resolver: Resolver, logical_id: str, raw: dict[str, Any]) -> Secret:
    properties = resolver.resolve(raw)
    return Secret(
        name=resolver.name_of(logical_id),
        generate=properties.get("GenerateSecretString"),
        text=properties.get("SecretString"),
    )


def _machine(
    resolver: Resolver, folder: Path, logical_id: str, raw: dict[str, Any]
) -> StateMachine:
    if "DefinitionUri" in raw:
        definition = (folder / resolver.resolve(raw["DefinitionUri"])).read_text(encoding="utf-8")
    else:
        definition = json.dumps(raw["Definition"])
    for name, value in resolver.resolve(raw.get("DefinitionSubstitutions", {})).items():
        # The placeholder is inside a JSON string, so the value is escaped as a JSON string.
        definition = definition.replace("${" + name + "}", json.dumps(str(value))[1:-1])
    return StateMachine(
        logical_id=logical_id,
        name=resolver.name_of(logical_id),
        arn=resolver.arn_of(logical_id),
        type=resolver.resolve(raw.get("Type", "STANDARD")),
        definition=definition,
        role_arn=f"arn:aws:iam::{ACCOUNT_ID}:role/{resolver.name_of(logical_id)}",
    )


def _function(
    resolver: Resolver, folder: Path, logical_id: str, raw: dict[str, Any], defaults: dict[str, Any]
) -> Function:
    properties = defaults | raw
    variables = _variables(defaults) | _variables(raw)
    events = list((raw.get("Events") or {}).values())
    return Function(
        logical_id=logical_id,
        name=resolver.name_of(logical_id),
        arn=resolver.arn_of(logical_id),
        code_dir=folder / resolver.resolve(properties.get("CodeUri", ".")),
        handler=resolver.resolve(properties.get("Handler", "handler.lambda_handler")),
        timeout_seconds=int(resolver.resolve(properties.get("Timeout", 3))),
        memory_mb=int(resolver.resolve(properties.get("MemorySize", 128))),
        environment={name: _text(value) for name, value in resolver.resolve(variables).items()},
        serves_http="FunctionUrlConfig" in raw
        or any(event.get("Type") in ("HttpApi", "Api") for event in events),
        watches=_watches(resolver, events),
    )


def _variables(properties: dict[str, Any]) -> dict[str, Any]:
    variables: dict[str, Any] = properties.get("Environment", {}).get("Variables", {})
    return variables


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)


def _watches(resolver: Resolver, events: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    watches: dict[str, tuple[str, ...]] = {}
    for event in events:
        pattern = resolver.resolve(event.get("Properties", {}).get("Pattern") or {})
        if event.get("Type") not in ("EventBridgeRule", "CloudWatchEvent"):
            continue
        if "aws.states" in pattern.get("source", ()):
            detail = pattern.get("detail", {})
            for arn in detail.get("stateMachineArn", ()):
                watches[arn] = tuple(detail.get("status", ()))
    return watches
