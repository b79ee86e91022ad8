"""The publishing functions: they publish the log of a run and send its webhook deliveries.

This module builds the batches from the items of the table and the messages of the queue. Lambda
reads both on AWS, with the actions that the mappings of the template need.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from functions.deliver_webhook.handler import lambda_handler as deliver_webhook
from functions.publish_events.handler import lambda_handler as publish_events
from runyard_dev.dev_stack import DevStack
from runyard_dev.template.cloudformation import Resolver, load_document
from runyard_dev.template.template import STACK_NAME
from runyard_service import settings
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.sqs import MAX_DELAY_SECONDS
from runyard_service.adapters.stream_records import image_of
from runyard_service.application.webhooks.trigger_deliveries import trigger_due_deliveries
from runyard_service.container import container
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run
from tests.crashes.crash_harness import LAMBDA_CONTEXT, CrashHarness
from tests.fault_injection.faults import Process
from tests.permissions.recorder import Recorder
from tests.permissions.required_actions import RequiredAction
from tests.permissions.webhook_requests import webhook_of
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

_Handler = Callable[[Any, Any], Any]
# The actions of Lambda with the role of a function that has a mapping, by service of the source.
_READS = {
    "dynamodb": ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"),
    "sqs": ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"),
}


def actions_of_lambda(template: Path, function: str) -> set[RequiredAction]:
    """Return the actions that Lambda needs for the function's mappings; the function calls none."""
    document = load_document(template)
    resolver = Resolver(document, stack_name=STACK_NAME)
    rights: set[RequiredAction] = set()
    for resource in document["Resources"].values():
        if resource["Type"] != "AWS::Lambda::EventSourceMapping":
            continue
        mapping = resolver.resolve(resource["Properties"])
        if mapping["FunctionName"] != resolver.name_of(function):
            continue
        source = mapping["EventSourceArn"]
        service = source.split(":")[2]
        rights |= {RequiredAction(f"{service}:{action}", source) for action in _READS[service]}
        failures = mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if failures:
            rights.add(RequiredAction("sqs:SendMessage", failures))
    return rights


def publishing_functions(
    harness: CrashHarness, stack: DevStack, recorder: Recorder, run: Run
) -> Mapping[str, set[RequiredAction]]:
    """Publish a run to two webhooks: one always fails, the other is gone.

    Return the actions that the publishing functions needed.
    """
    with LoopbackServer(_respond) as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBHOOK_ALLOWED_PRIVATE_HOSTS", receiver.host_and_port)
        patch.setenv("WEBHOOK_RETRY_SECONDS", "0")
        settings.settings.cache_clear()
        handle_records: _Handler = publish_events
        handle_messages: _Handler = deliver_webhook
        for path in ("/fails", "/gone"):
            harness.stores.webhooks.create(
                webhook_of(run.org_id, run.project_id, receiver.url + path)
            )
        publisher, sender = Process(), Process()
        records = _records(stack, run)
        twin = _end_of_a_twin(harness, run, records)
        with harness.run_as(publisher):
            answer = handle_records({"Records": records}, LAMBDA_CONTEXT)
            again = handle_records({"Records": [twin]}, LAMBDA_CONTEXT)
        assert answer == again == {"batchItemFailures": []}
        for batch in _batches(stack):
            with harness.run_as(sender):
                handle_messages(batch, LAMBDA_CONTEXT)
        paths = Counter(request.path for request in receiver.received)
        sweep = _sweep_of_a_delivery(harness, recorder, run.project_id)
    settings.settings.cache_clear()
    assert paths["/gone"], "the webhook that is gone gets a request"
    assert paths["/fails"] > 1, "the webhook that fails gets a second attempt"
    assert _count(stack, "WEBHOOK_DEAD_LETTER_QUEUE_URL"), (
        "the failed delivery is in the dead-letter queue"
    )
    return {
        "PublishEventsFunction": recorder.of(publisher),
        "DeliverWebhookFunction": recorder.of(sender),
        "SweepFunction": sweep,
    }


def _sweep_of_a_delivery(
    harness: CrashHarness, recorder: Recorder, project_id: str
) -> set[RequiredAction]:
    """Return the actions that the sweep needs to trigger a delivery after a long pause."""
    deliveries, sweep = harness.stores.webhook_deliveries, Process()
    webhook = harness.stores.webhooks.of_project(project_id)[0]
    [delivery] = deliveries.newest(webhook.id, None, 1)
    again = delivery.for_redelivery()
    assert deliveries.change(delivery, again.postponed(timestamp_in(2 * MAX_DELAY_SECONDS)))
    # The pause is over, as far as the index is concerned.
    harness.stores.deleted_runs.records.update(
        keys.webhook_delivery(delivery.webhook_id, delivery.id), {"sweep_at": timestamp_in(-1)}
    )
    with harness.run_as(sweep):
        parts = container()
        assert trigger_due_deliveries(parts.stores, parts.delivery_queue) == 1
    return recorder.of(sweep)


def _respond(received: Received, exchange: Exchange) -> None:
    exchange.send(410 if received.path == "/gone" else 500)


def _records(stack: DevStack, run: Run) -> list[dict[str, Any]]:
    """Return the log of the run as records of the table's stream."""
    items = stack.client("dynamodb").query(
        TableName=stack.environment["EVENTS_TABLE"],
        KeyConditionExpression="run_id = :run_id",
        ExpressionAttributeValues={":run_id": {"S": run.id}},
    )["Items"]
    return [
        {"dynamodb": {"NewImage": image_of(item), "SequenceNumber": str(position)}}
        for position, item in enumerate(items)
    ]


def _end_of_a_twin(
    harness: CrashHarness, run: Run, records: list[dict[str, Any]]
) -> dict[str, Any]:
    """Record a run with the same counter of usage; return the record of its end."""
    twin_id = new_id()[:-4] + run.id[-4:]
    with harness.run_as(Process(), concurrent=True):  # Not a call of the function.
        ended = harness.stores.runs.get(run.id)
        assert ended is not None
        harness.stores.runs.create(ended.model_copy(update={"id": twin_id}))
    image = {**records[-1]["dynamodb"]["NewImage"], "run_id": {"S": twin_id}}
    return {"dynamodb": {"NewImage": image, "SequenceNumber": "1"}}


def _batches(stack: DevStack) -> Iterator[dict[str, Any]]:
    """Yield batches of the queue until it is empty; a delayed message returns at once."""
    sqs, url = stack.client("sqs"), stack.environment["WEBHOOK_QUEUE_URL"]
    while _count(stack, "WEBHOOK_QUEUE_URL"):
        response = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
        for message in response.get("Messages", ()):
            handle = message["ReceiptHandle"]
            record = {"messageId": message["MessageId"], "body": message["Body"]}
            yield {"Records": [{**record, "receiptHandle": handle}]}


def _count(stack: DevStack, queue: str) -> int:
    attributes = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.environment[queue], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])
