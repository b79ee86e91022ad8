"""The stream, the queues and their mappings: they fit the code that they invoke, and each other."""

import json
from typing import Any

from runyard_dev.template.sources import EventSource
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.sqs import MAX_POSTPONED_SECONDS
from runyard_service.settings import Settings
from tests.template.repository import FUNCTIONS, Translated

STREAM = {"Fn::GetAtt": ["EventsTable", "StreamArn"]}


def mapping_of(translated: Translated, function: str) -> dict[str, Any]:
    """The one mapping that invokes the function."""
    mappings = translated.of_type("AWS::Lambda::EventSourceMapping").values()
    [found] = [one for one in mappings if one["FunctionName"] == {"Ref": function}]
    return found


def leading_keys(translated: Translated, function: str, action: str) -> set[str]:
    """The partitions of the records table in which a function may do something."""
    return {
        key
        for statement in translated.statements(f"{function}Role")
        if action in statement["Action"]
        for key in statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    }


def test_the_stream_is_read_as_the_function_answers(translated: Translated) -> None:
    stream = translated.properties("EventsTable")["StreamSpecification"]
    assert stream == {"StreamViewType": "NEW_IMAGE"}
    mapping = mapping_of(translated, "PublishEventsFunction")
    assert mapping["EventSourceArn"] == STREAM
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    # From the beginning: what is appended while a stack is made would else be told to nobody.
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["PublishDeadLetterQueue", "Arn"]
    }


def test_the_filter_lets_marked_batches_through_and_no_others(translated: Translated) -> None:
    filters = mapping_of(translated, "PublishEventsFunction")["FilterCriteria"]["Filters"]
    source = EventSource("f", "a", 1, tuple(json.loads(one["Pattern"]) for one in filters))

    def record(name: str, **image: Any) -> dict[str, Any]:
        return {"eventName": name, "dynamodb": {"NewImage": image}}

    assert source.takes(record("INSERT", publish={"BOOL": True}, lines={"S": "…"}))
    assert not source.takes(record("INSERT", lines={"S": "…"}))
    assert not source.takes(record("MODIFY", publish={"BOOL": True}))
    # What its ttl has removed has no image.
    assert not source.takes({"eventName": "REMOVE", "dynamodb": {}})


def test_a_message_is_hidden_for_longer_than_an_attempt_may_take(translated: Translated) -> None:
    queue = translated.properties("WebhookQueue")
    function = translated.properties("DeliverWebhookFunction")
    assert mapping_of(translated, "DeliverWebhookFunction")["EventSourceArn"] == {
        "Fn::GetAtt": ["WebhookQueue", "Arn"]
    }
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    variables = translated.variables("DeliverWebhookFunction")
    assert float(variables["WEBHOOK_TIMEOUT_SECONDS"]) * 2 < function["Timeout"]
    assert function["Timeout"] + MAX_POSTPONED_SECONDS <= 12 * 3600


def test_the_queue_outlasts_all_attempts(translated: Translated) -> None:
    variables = translated.variables("DeliverWebhookFunction")
    pauses = Settings.from_environment(variables_of_text(variables)).webhook_retry_seconds
    assert pauses == Settings().webhook_retry_seconds
    queue = translated.properties("WebhookQueue")
    assert queue["MessageRetentionPeriod"] > 2 * sum(pauses)
    # The function decides when to give up; SQS only where the function cannot.
    assert queue["RedrivePolicy"]["maxReceiveCount"] > 2 * (len(pauses) + 1)


def variables_of_text(variables: dict[str, Any]) -> dict[str, str]:
    """The variables whose values are written out."""
    return {name: value for name, value in variables.items() if isinstance(value, str)}


def test_every_queue_has_an_end(translated: Translated) -> None:
    queues = translated.of_type("AWS::SQS::Queue")
    assert queues
    for name, queue in queues.items():
        assert queue["MessageRetentionPeriod"] > 0, name


def test_a_publisher_reads_no_secret_of_a_webhook(translated: Translated) -> None:
    """Its rights are told by the beginnings of keys; here they are held against the keys."""
    readable = {
        key
        for action in ("dynamodb:GetItem", "dynamodb:Query")
        for key in leading_keys(translated, "PublishEventsFunction", action)
    }
    assert readable == {"RUN#*", "WEBHOOKS#*"}
    secrets = str(keys.webhook_secrets("id")["pk"])
    assert not any(secrets.startswith(key.removesuffix("*")) for key in readable)
    assert secrets.startswith("WEBHOOK#")


def test_only_who_tells_may_put_on_the_bus(translated: Translated) -> None:
    tellers = {one for one in FUNCTIONS if "events:PutEvents" in translated.actions(one)}
    assert tellers == {"PublishEventsFunction"}


def test_no_role_has_the_rights_that_sam_would_give_for_a_mapping(translated: Translated) -> None:
    for function in ("PublishEventsFunction", "DeliverWebhookFunction"):
        managed = str(translated.properties(f"{function}Role").get("ManagedPolicyArns"))
        assert "DynamoDBExecutionRole" not in managed
        assert "SQSQueueExecutionRole" not in managed


def test_the_deliverer_may_not_read_a_run(translated: Translated) -> None:
    written = leading_keys(translated, "DeliverWebhookFunction", "dynamodb:UpdateItem")
    readable = leading_keys(translated, "DeliverWebhookFunction", "dynamodb:GetItem")
    assert readable == {"WEBHOOKS#*", "WEBHOOK#*", "DELIVERIES#*"}
    assert written == {"WEBHOOKS#*", "DELIVERIES#*"}
