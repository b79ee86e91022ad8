"""Read a CloudFormation or SAM template and resolve its functions to local names.

This module implements the functions (`!Ref`, `!Sub`, `!If` …) and the names and ARNs of resources.
`template.py` interprets the resources. A reference to something that has no local counterpart
(a log group, a function's URL) becomes a readable placeholder instead of an error.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ACCOUNT_ID = "123456789012"  # moto's account id for every caller.
DEFAULT_REGION = "us-east-1"

_ABSENT = object()  # AWS::NoValue: its key is removed.

_NAME_PROPERTIES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Events::EventBus": "Name",
    "AWS::Serverless::Function": "FunctionName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Serverless::StateMachine": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
_ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:{region}:{account}:secret:{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "AWS::Events::EventBus": "arn:aws:events:{region}:{account}:event-bus/{name}",
    "AWS::Serverless::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Serverless::StateMachine": "arn:aws:states:{region}:{account}:stateMachine:{name}",
    "AWS::StepFunctions::StateMachine": "arn:aws:states:{region}:{account}:stateMachine:{name}",
}
_REFERRED_TO_BY_ARN = {"AWS::Serverless::StateMachine", "AWS::StepFunctions::StateMachine"}


class _Loader(yaml.SafeLoader):
    """A safe YAML loader that reads `!Tag value` as `{"Fn::Tag": value}`."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)


def load_document(path: Path) -> dict[str, Any]:
    """Return the template as plain data, with functions in their long form."""
    with path.open(encoding="utf-8") as file:
        document = yaml.load(file, Loader=_Loader)
    if not isinstance(document, dict) or "Resources" not in document:
        raise ValueError(f"{path} is no CloudFormation template: it has no Resources.")
    return document


def _is_policy_condition(key: str, argument: Any) -> bool:
    return key == "Condition" and isinstance(argument, dict)


def _pseudo_parameters(stack_name: str, region: str) -> dict[str, Any]:
    return {
        "AWS::Region": region,
        "AWS::AccountId": ACCOUNT_ID,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackName": stack_name,
        "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT_ID}:stack/{stack_name}/0",
        "AWS::NoValue": _ABSENT,
    }


class Resolver:
    """Resolve the values of a document with its parameters' defaults and the given overrides."""

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        stack_name: str,
        region: str = DEFAULT_REGION,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.region = region
        self._stack_name = stack_name
        self._resources: Mapping[str, Any] = document["Resources"]
        self._conditions: Mapping[str, Any] = document.get("Conditions", {})
        self._mappings: Mapping[str, Any] = document.get("Mappings", {})
        self._values = _pseudo_parameters(stack_name, region)
        for name, declaration in document.get("Parameters", {}).items():
            self._values[name] = self._parameter(name, declaration, parameters or {})
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self.reference,
            "Condition": self._condition,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            # A given parameter is text, and a default can be a number.
            "Fn::Equals": lambda pair: str(self.resolve(pair[0])) == str(self.resolve(pair[1])),
            "Fn::Not": lambda items: not self.resolve(items[0]),
            "Fn::And": lambda items: all(self.resolve(item) for item in items),
            "Fn::Or": lambda items: any(self.resolve(item) for item in items),
            "Fn::Join": lambda pair: pair[0].join(str(part) for part in self.resolve(pair[1])),
            "Fn::Split": lambda pair: str(self.resolve(pair[1])).split(pair[0]),
            "Fn::Select": lambda pair: self.resolve(pair[1])[int(self.resolve(pair[0]))],
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": self.resolve,
            "Fn::ImportValue": lambda name: f"import-{self.resolve(name)}",
            "Fn::GetAZs": lambda _: [f"{region}a", f"{region}b"],
        }

    def resolve(self, value: Any) -> Any:
        """Return the value with the result of each function in it."""
        if isinstance(value, dict):
            if len(value) == 1:
                (key, argument), *_ = value.items()
                # A policy statement may contain only a `Condition`, which is a mapping.
                if key in self._functions and not _is_policy_condition(key, argument):
                    return self._functions[key](argument)
            pairs = ((key, self.resolve(item)) for key, item in value.items())
            return {key: item for key, item in pairs if item is not _ABSENT}
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not _ABSENT]
        return value

    def name_of(self, logical_id: str) -> str:
        """Return the name of the template, or else the stack's name and the id in kebab case."""
        resource = self._resources.get(logical_id, {})
        own = _NAME_PROPERTIES.get(resource.get("Type", ""))
        given = self.resolve(resource.get("Properties", {}).get(own, _ABSENT)) if own else _ABSENT
        if given is not _ABSENT:
            return str(given)
        kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", logical_id).lower()
        return f"{self._stack_name}-{kebab}"

    def arn_of(self, logical_id: str) -> str:
        """Return the local ARN, or a placeholder if the type has no local ARN."""
        name = self.name_of(logical_id)
        pattern = _ARNS.get(self._type_of(logical_id), "arn:aws:local:{region}:{account}:{name}")
        return pattern.format(region=self.region, account=ACCOUNT_ID, name=name)

    def reference(self, name: str) -> Any:
        """Return the result of `Ref`: a parameter's value, a resource's ARN, URL or name."""
        if name in self._values:
            return self._values[name]
        if self._type_of(name) in _REFERRED_TO_BY_ARN:
            return self.arn_of(name)
        if self._type_of(name) == "AWS::SQS::Queue":
            return f"https://sqs.{self.region}.amazonaws.com/{ACCOUNT_ID}/{self.name_of(name)}"
        return self.name_of(name)

    def is_active(self, resource: Mapping[str, Any]) -> bool:
        """Return whether the `Condition` of the resource is true. Without one, return True."""
        return "Condition" not in resource or bool(self._condition(resource["Condition"]))

    def _type_of(self, logical_id: str) -> str:
        return str(self._resources.get(logical_id, {}).get("Type", ""))

    @staticmethod
    def _parameter(name: str, declaration: Mapping[str, Any], given: Mapping[str, str]) -> Any:
        value = given.get(name, declaration.get("Default", ""))
        is_list = "List" in str(declaration.get("Type", ""))
        return str(value).split(",") if is_list else value

    def _condition(self, name: str) -> Any:
        return self.resolve(self._conditions[name])

    def _if(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self.resolve(yes if self._condition(condition) else no)

    def _get_att(self, argument: list[str] | str) -> str:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        if attribute == "Arn":
            return self.arn_of(logical_id)
        if attribute == "StreamArn":
            return f"{self.arn_of(logical_id)}/stream/newest"
        if attribute in ("Name", "Id", "QueueName"):
            return self.name_of(logical_id)
        return f"{self.name_of(logical_id)}.{attribute}"

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = (self.resolve(part) for part in argument[:3])
        return self.resolve(self._mappings[name][first][second])

    def _sub(self, argument: str | list[Any]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])

        def replace(match: re.Match[str]) -> str:
            name = match.group(1).strip()
            if name.startswith("!"):  # `${!Literal}` means the text `${Literal}`.
                return "${" + name[1:] + "}"
            if name in own:
                return str(self.resolve(own[name]))
            if "." in name:
                return self._get_att(name)
            return str(self.reference(name))

        return re.sub(r"\$\{([^}]+)\}", replace, text)
