"""The stream, the queues and their mappings: they match the code that they invoke."""

import json
from typing import Any

from runyard_dev.template.sources import EventSource
from runyard_service.adapters.dynamodb import keys
from runyard_service.settings import Settings
from tests.template.repository import FUNCTIONS, Translated

STREAM = {"Fn::GetAtt": ["EventsTable", "StreamArn"]}


def mapping_of(translated: Translated, function: str) -> dict[str, Any]:
    """Return the only mapping that invokes the function."""
    mappings = translated.of_type("AWS::Lambda::EventSourceMapping").values()
    [found] = [one for one in mappings if one["FunctionName"] == {"Ref": function}]
    return found


def leading_keys(translated: Translated, function: str, action: str) -> set[str]:
    """Return the partitions of the records table in which a function may use the action."""
    return {
        key
        for statement in translated.statements(f"{function}Role")
        if action in statement["Action"]
        for key in statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    }


def test_the_mapping_of_the_stream_matches_the_response_of_the_function(
    translated: Translated,
) -> None:
    stream = translated.properties("EventsTable")["StreamSpecification"]
    assert stream == {"StreamViewType": "NEW_IMAGE"}
    mapping = mapping_of(translated, "PublishEventsFunction")
    assert mapping["EventSourceArn"] == STREAM
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    # From the oldest record: otherwise events of the time of the deployment are never published.
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["PublishDeadLetterQueue", "Arn"]
    }


def test_the_filter_accepts_only_items_to_publish(translated: Translated) -> None:
    filters = mapping_of(translated, "PublishEventsFunction")["FilterCriteria"]["Filters"]
    source = EventSource("f", "a", 1, tuple(json.loads(entry["Pattern"]) for entry in filters))

    def record(name: str, **image: Any) -> dict[str, Any]:
        return {"eventName": name, "dynamodb": {"NewImage": image}}

    assert source.takes(record("INSERT", publish={"BOOL": True}, lines={"S": "…"}))
    assert not source.takes(record("INSERT", lines={"S": "…"}))
    assert not source.takes(record("MODIFY", publish={"BOOL": True}))
    # An item removed by its TTL has no image.
    assert not source.takes({"eventName": "REMOVE", "dynamodb": {}})


def test_the_visibility_timeout_is_longer_than_an_attempt(translated: Translated) -> None:
    queue = translated.properties("WebhookQueue")
    function = translated.properties("DeliverWebhookFunction")
    assert mapping_of(translated, "DeliverWebhookFunction")["EventSourceArn"] == {
        "Fn::GetAtt": ["WebhookQueue", "Arn"]
    }
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    variables = translated.variables("DeliverWebhookFunction")
    assert float(variables["WEBHOOK_TIMEOUT_SECONDS"]) * 2 < function["Timeout"]


def test_the_queue_retains_a_message_for_longer_than_all_attempts(translated: Translated) -> None:
    variables = translated.variables("DeliverWebhookFunction")
    pauses = Settings.from_environment(constant_variables(variables)).webhook_retry_seconds
    assert pauses == Settings().webhook_retry_seconds
    queue = translated.properties("WebhookQueue")
    assert queue["MessageRetentionPeriod"] > 2 * sum(pauses)
    # The function decides when to stop; SQS decides only if the function cannot.
    assert queue["RedrivePolicy"]["maxReceiveCount"] > 2 * (len(pauses) + 1)


def constant_variables(variables: dict[str, Any]) -> dict[str, str]:
    """Return the variables with constant values."""
    return {name: value for name, value in variables.items() if isinstance(value, str)}


def test_every_queue_has_a_retention_period(translated: Translated) -> None:
    queues = translated.of_type("AWS::SQS::Queue")
    assert queues
    for name, queue in queues.items():
        assert queue["MessageRetentionPeriod"] > 0, name


def test_the_publisher_cannot_read_webhook_secrets(translated: Translated) -> None:
    """The template grants key prefixes; this test compares them with the keys of the code."""
    readable = {
        key
        for action in ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem")
        for key in leading_keys(translated, "PublishEventsFunction", action)
    }
    assert readable == {"RUN#*", "WEBHOOKS#*", "USAGE#*", "COUNTED#*"}
    secrets = str(keys.webhook_secrets("id")["pk"])
    assert not any(secrets.startswith(key.removesuffix("*")) for key in readable)
    assert secrets.startswith("WEBHOOK#")


def test_the_publisher_writes_only_deliveries_and_usage(translated: Translated) -> None:
    writable = {
        key
        for action in ("dynamodb:PutItem", "dynamodb:UpdateItem")
        for key in leading_keys(translated, "PublishEventsFunction", action)
    }
    assert writable == {"DELIVERIES#*", "USAGE#*", "COUNTED#*"}
    usage = keys.usage("p", "2026-06-10", 0, ""), keys.usage_receipt("id")
    for key in usage:
        assert any(str(key["pk"]).startswith(prefix.removesuffix("*")) for prefix in writable)


def test_only_the_publisher_may_send_to_the_event_bus(translated: Translated) -> None:
    senders = {name for name in FUNCTIONS if "events:PutEvents" in translated.actions(name)}
    assert senders == {"PublishEventsFunction"}


def test_no_role_has_the_managed_policies_that_sam_adds_for_a_mapping(
    translated: Translated,
) -> None:
    for function in ("PublishEventsFunction", "DeliverWebhookFunction"):
        managed = str(translated.properties(f"{function}Role").get("ManagedPolicyArns"))
        assert "DynamoDBExecutionRole" not in managed
        assert "SQSQueueExecutionRole" not in managed


def test_the_webhook_sender_may_not_read_a_run(translated: Translated) -> None:
    written = leading_keys(translated, "DeliverWebhookFunction", "dynamodb:UpdateItem")
    readable = leading_keys(translated, "DeliverWebhookFunction", "dynamodb:GetItem")
    assert readable == {"WEBHOOKS#*", "WEBHOOK#*", "DELIVERIES#*"}
    assert written == {"WEBHOOKS#*", "DELIVERIES#*"}
