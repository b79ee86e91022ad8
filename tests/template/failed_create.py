"""What CloudFormation leaves when the first create of the stack fails at a resource.

The rules are those of AWS's documents:

- A failed create rolls back: every resource that was created is deleted in reverse order
  (CloudFormation user guide, "Choose how to handle failures when provisioning resources").
- `Retain` retains a resource also in this rollback; `RetainExceptOnCreate` deletes it then
  (CloudFormation template reference, "DeletionPolicy attribute").
- DynamoDB rejects the deletion of a protected table ("Using deletion protection"), and S3 that of a
  bucket with objects ("Deleting a general purpose bucket"). The stack is then ROLLBACK_FAILED.
- A function that still writes log lines creates its log group again, if its role may
  (Lambda developer guide, "Sending Lambda function logs to CloudWatch Logs").
- A resource whose template states its name fails to create if the name exists.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.template.repository import Translated

# The properties that name a resource.
NAMES = {
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
# Writes an object into the bucket while the stack is created.
WRITES_TO_THE_BUCKET = "PublishedAgents"


@dataclass
class Rollback:
    """The resources that a rollback leaves, by logical id."""

    retained: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    """Resources whose deletion fails, so that the stack is ROLLBACK_FAILED."""
    late_log_groups: set[str] = field(default_factory=set)
    """Log groups that a late line of a deleted function creates again."""

    @property
    def left(self) -> set[str]:
        """Return everything that exists after the rollback."""
        return self.retained | self.stuck | self.late_log_groups


def roll_back(template: Translated, failed: str) -> Rollback:
    """Return what is left if the create of a resource fails, in the worst order.

    CloudFormation creates in parallel: everything that does not need the failed resource may exist.
    """
    resources = template.document["Resources"]
    created = {
        name for name in resources if name != failed and failed not in template.dependencies(name)
    }
    has_objects = WRITES_TO_THE_BUCKET in created
    result = Rollback()
    for name in created:
        resource = resources[name]
        if resource.get("DeletionPolicy", "Delete") == "Retain":
            result.retained.add(name)
        elif _rejects_deletion(resource, has_objects=has_objects):
            result.stuck.add(name)
    for name in created:
        if resources[name]["Type"] == "AWS::Lambda::Function" and may_create_log_groups(
            template, name
        ):
            result.late_log_groups.add(
                resources[name]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
            )
    return result


def _rejects_deletion(resource: dict[str, Any], *, has_objects: bool) -> bool:
    properties = resource.get("Properties", {})
    if resource["Type"] == "AWS::DynamoDB::Table":
        # `!If [IsProtected, true, false]`: as in staging and prod.
        return bool(properties.get("DeletionProtectionEnabled"))
    return resource["Type"] == "AWS::S3::Bucket" and has_objects


def may_create_log_groups(template: Translated, function: str) -> bool:
    """Return whether a late log line can create a log group. SAM's managed policy allows it."""
    denials = template.denials(f"{function}Role")
    return not any("logs:CreateLogGroup" in statement["Action"] for statement in denials)


def name_conflicts(template: Translated, left: set[str]) -> set[str]:
    """Return the left resources whose name the next create under the same stack name needs."""
    resources = template.document["Resources"]
    return {
        name
        for name in left
        if NAMES.get(resources[name]["Type"], "") in resources[name].get("Properties", {})
    }
