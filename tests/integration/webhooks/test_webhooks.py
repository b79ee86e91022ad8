"""Test webhooks end to end: endpoint, run, stream, queue, and signed POST."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.event_log import lines_of
from runyard_service.adapters.eventbridge import EventBus
from runyard_service.adapters.sqs import DeliveryMessage, DeliveryQueue
from runyard_service.adapters.stores import Stores
from runyard_service.adapters.stream_records import image_of, item_of
from runyard_service.application.webhooks.publish_events import Publisher, publish_events
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id, parse_id
from tests.support.command_line import run_command
from tests.support.merged_agents import merged_agents
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.service import Service
from tests.support.wait_until import wait_until

# The run requests approval of a refund, and waits.
TICKET = {
    "ticket_subject": "Charged twice for June invoice",
    "ticket_body": "Hi, my card was charged twice this month. Order #4812.",
}
PAUSED = ["run.started", "approval_request.created", "run.paused"]
CANCELED = ["run.cancel_requested", "run.canceled"]
ATTEMPTS = 5


@dataclass
class Receiver:
    """A receiver: each path has its script of responses, and returns 204 after that."""

    scripts: dict[str, list[tuple[int, dict[str, str]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def answer(self, received: Received, exchange: Exchange) -> None:
        """Send the next response of the path's script."""
        script = self.scripts[received.path]
        status, headers = script.pop(0) if script else (204, {})
        exchange.send(status, b"so be it", headers)


@dataclass
class Project:
    """A new project with one key, and the requests that its endpoints receive."""

    service: Service
    server: LoopbackServer
    receiver: Receiver
    id: str

    def register(self, *script: int | tuple[int, dict[str, str]], **fields: Any) -> "Endpoint":
        """Register a new endpoint with these responses."""
        path = f"/{new_id()}"
        self.receiver.scripts[path] = [
            one if isinstance(one, tuple) else (one, {}) for one in script
        ]
        body = {"url": self.server.url + path, **fields}
        response = self.service.http.post("/v1/webhooks", json=body)
        assert response.status_code == 201, response.text
        return Endpoint(self, path, response.json()["data"])

    def canceled_run(self) -> str:
        """Start a run that requests input, and cancel it; return its id."""
        run = self.service.create(TICKET)
        assert run["status"] == "awaiting_input"
        assert self.service.http.post(f"/v1/runs/{run['id']}/cancel").status_code == 200
        return str(run["id"])


@dataclass
class Endpoint:
    """One endpoint, as seen by its owner and by the receiver."""

    project: Project
    path: str
    view: dict[str, Any]

    @property
    def secret(self) -> str:
        """Return the secret, which only the response of the creation has."""
        return str(self.view["secret"])

    @property
    def url(self) -> str:
        """Return the path in the API."""
        return f"/v1/webhooks/{self.view['id']}"

    def received(self, count: int) -> list[Received]:
        """Wait for `count` requests; return them."""
        found: list[Received] = wait_until(
            lambda: requests if len(requests := self._requests()) >= count else None,
            describe=lambda: f"{len(self._requests())} of {count}: {self.deliveries()}",
        )
        return found

    def _requests(self) -> list[Received]:
        return [one for one in self.project.server.received if one.path == self.path]

    def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        """Return the delivery log, newest first."""
        response = self.project.service.http.get(f"{self.url}/deliveries", params=query)
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["data"]
        return found

    def finished_deliveries(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until `count` deliveries have ended; return the delivery log."""
        found: list[dict[str, Any]] = wait_until(
            lambda: (
                deliveries
                if len(deliveries := self.deliveries()) >= count
                and all(one["state"] != "pending" for one in deliveries)
                else None
            ),
            describe=lambda: self.deliveries(),
        )
        return found

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Send an action to the endpoint's path."""
        response = self.project.service.http.post(self.url + path, json=body or None)
        assert response.status_code in (200, 202), response.text
        found: dict[str, Any] = response.json()["data"]
        return found


def verify_notification(secret: str, request: Received) -> dict[str, Any]:
    """Verify and return the notification with the standard library for receivers."""
    notification: dict[str, Any] = Verifier(secret).verify(request.body, dict(request.headers))
    return notification


@pytest.fixture(scope="module")
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(scope="module")
def server(receiver: Receiver) -> Iterator[LoopbackServer]:
    with LoopbackServer(receiver.answer) as running:
        yield running


@pytest.fixture(scope="module")
def publishing_stack(
    tmp_path_factory: pytest.TempPathFactory, server: LoopbackServer
) -> Iterator[DevStack]:
    """Yield a stack that publishes events, with a retry schedule of seconds instead of a day."""
    folder = tmp_path_factory.mktemp("telling")
    with DevStack.start(
        data_dir=folder,
        agents_dir=merged_agents(folder / "agents"),
        environment={
            "WEBHOOK_RETRY_SECONDS": ",".join(["0"] * (ATTEMPTS - 1)),
            "WEBHOOK_ALLOWED_PRIVATE_HOSTS": server.host_and_port,
        },
        sweep_seconds=1000,
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
def webhook_stores(publishing_stack: DevStack) -> Stores:
    """Return the stores of this stack."""
    return stores_of(publishing_stack.environment)


@pytest.fixture
def project(
    publishing_stack: DevStack, webhook_stores: Stores, server: LoopbackServer, receiver: Receiver
) -> Iterator[Project]:
    project_id, key = f"project-{new_id()}", f"ry_{new_id()}"
    webhook_stores.access_keys.save(key, project_id=project_id, org_id="o")
    service = Service(publishing_stack.base_url, key)
    yield Project(service, server, receiver, project_id)
    service.close()


def test_every_event_of_a_run_arrives_once_and_signed(project: Project) -> None:
    endpoint = project.register()
    run_id = project.canceled_run()

    requests = endpoint.received(5)
    notifications = [verify_notification(endpoint.secret, request) for request in requests]

    assert Counter(notification["type"] for notification in notifications) == Counter(
        PAUSED + CANCELED
    )
    events = {event["id"]: event for event in project.service.events(run_id)}
    for request, notification in zip(requests, notifications, strict=True):
        data, event = notification["data"], events[notification["data"]["event_id"]]
        assert (notification["type"], notification["timestamp"]) == (
            event["type"],
            event["timestamp"],
        )
        assert (data["run_id"], data["project_id"]) == (run_id, project.id)
        assert data["sequence"] == event["sequence"]
        assert parse_id(request.headers["webhook-id"])
        assert request.headers["content-type"] == "application/json"
        with pytest.raises(WebhookVerificationError):
            verify_notification("whsec_" + "A" * 43 + "=", request)
    assert len({request.headers["webhook-id"] for request in requests}) == 5
    assert [one["state"] for one in endpoint.finished_deliveries(5)] == ["delivered"] * 5


def test_a_notification_has_no_content(project: Project) -> None:
    endpoint = project.register(events=["approval_request.created", "run.failed", "run.canceled"])
    project.canceled_run()
    for request in endpoint.received(2):
        assert b"4812" not in request.body
        assert b"Refund" not in request.body
        assert b"invoice" not in request.body


def test_an_endpoint_receives_only_its_event_types(project: Project) -> None:
    everything = project.register()
    asked = project.register(events=["approval_request.*"])
    ended = project.register(events=["run.completed", "run.canceled"])
    silent = project.register(enabled=False)
    project.canceled_run()

    everything.finished_deliveries(5)
    assert [one["event_type"] for one in asked.finished_deliveries()] == [
        "approval_request.created"
    ]
    assert [one["event_type"] for one in ended.finished_deliveries()] == ["run.canceled"]
    assert silent.deliveries() == []


def test_another_project_receives_no_notifications(
    project: Project, publishing_stack: DevStack
) -> None:
    endpoint = project.register()
    other = Service(publishing_stack.base_url, publishing_stack.access_key)
    response = other.http.get(endpoint.url)
    other.close()
    assert response.status_code == 404
    project.canceled_run()
    assert {one["run_id"] for one in endpoint.finished_deliveries(5)} == {
        run["id"] for run in project.service.http.get("/v1/runs").json()["data"]
    }


def test_a_failed_delivery_is_retried_with_the_same_id_and_body(project: Project) -> None:
    endpoint = project.register(500, 503, 302, events=["run.canceled"])
    project.canceled_run()

    requests = endpoint.received(4)
    assert len({(one.headers["webhook-id"], one.body) for one in requests}) == 1
    assert all(verify_notification(endpoint.secret, request) for request in requests)
    [delivery] = endpoint.finished_deliveries()
    assert delivery["state"] == "delivered"
    assert [one["status_code"] for one in delivery["attempts"]] == [500, 503, 302, 204]
    assert delivery["attempts"][0]["response"] == "so be it"
    assert delivery["id"] == requests[0].headers["webhook-id"]


def test_a_delivery_fails_after_its_last_attempt_and_can_be_redelivered(
    project: Project, publishing_stack: DevStack
) -> None:
    endpoint = project.register(*[500] * ATTEMPTS, events=["run.canceled"])
    project.canceled_run()

    [delivery] = endpoint.finished_deliveries()
    assert (delivery["state"], delivery["failure"]) == ("failed", "attempts_exhausted")
    assert len(delivery["attempts"]) == ATTEMPTS
    assert find_dead_letter(publishing_stack, delivery["id"]) == DeliveryMessage(
        project.id, endpoint.view["id"], delivery["id"], 0
    )

    again = endpoint.post(f"/deliveries/{delivery['id']}/redeliver")
    assert (again["id"], again["state"]) == (delivery["id"], "pending")
    [delivery] = endpoint.finished_deliveries()
    assert delivery["state"] == "delivered"
    assert "failure" not in delivery
    assert len(endpoint.received(ATTEMPTS + 1)) == ATTEMPTS + 1


@pytest.fixture
def abandoned(
    project: Project, publishing_stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> tuple[Endpoint, dict[str, Any]]:
    """Return an endpoint and its delivery that every attempt failed; commands find the stack."""
    for name, value in publishing_stack.environment.items():
        monkeypatch.setenv(name, value)
    endpoint = project.register(*[500] * ATTEMPTS, events=["run.canceled"])
    project.canceled_run()
    [delivery] = endpoint.finished_deliveries()
    find_dead_letter(publishing_stack, delivery["id"])
    return endpoint, delivery


def test_dead_letters_are_redelivered_by_a_command(
    project: Project,
    abandoned: tuple[Endpoint, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    endpoint, delivery = abandoned

    assert run_command("webhooks", "dead-letters") == 0
    [row] = [line for line in capsys.readouterr().out.splitlines() if delivery["id"] in line]
    assert row.split()[1:] == [
        *(project.id, endpoint.view["id"], "run.canceled", delivery["created_at"]),
        "attempts_exhausted",
    ]
    assert run_command("webhooks", "redrive") == 0
    assert f"{delivery['id']} of {project.id}: is sent again\n" in capsys.readouterr().out
    [delivery] = endpoint.finished_deliveries()
    assert delivery["state"] == "delivered"
    assert run_command("webhooks", "redrive") == 0
    assert delivery["id"] not in capsys.readouterr().out


def test_the_dead_letter_of_a_disabled_webhook_stays_until_the_operator_deletes_it(
    project: Project,
    abandoned: tuple[Endpoint, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    endpoint, delivery = abandoned
    disabled = project.service.http.patch(endpoint.url, json={"enabled": False})
    assert disabled.status_code == 200
    name = f"{delivery['id']} of {project.id}"

    for _ in range(2):
        assert run_command("webhooks", "redrive") == 0
        expected = f"{name}: stays in the queue: the webhook is disabled\n"
        assert expected in capsys.readouterr().out
    assert run_command("webhooks", "redrive", "--delete-disabled") == 0
    assert f"{name}: is deleted: the webhook is disabled\n" in capsys.readouterr().out
    assert run_command("webhooks", "dead-letters") == 0
    assert delivery["id"] not in capsys.readouterr().out


def failure_message(stack: DevStack, run_id: str) -> dict[str, Any]:
    """Return the message that Lambda sends if the records of the run cannot be published.

    Its fields are those of "Retain discarded records for a DynamoDB event source" (AWS Lambda).
    """
    streams = stack.client("dynamodbstreams")
    table = stack.client("dynamodb").describe_table(TableName=stack.environment["EVENTS_TABLE"])
    arn = table["Table"]["LatestStreamArn"]
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    numbers: list[str] = []
    while page := streams.get_records(ShardIterator=iterator):
        numbers += [
            record["dynamodb"]["SequenceNumber"]
            for record in page["Records"]
            if record["dynamodb"]["Keys"]["run_id"] == {"S": run_id}
        ]
        if not page["Records"]:
            break
        iterator = page["NextShardIterator"]
    return {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "DDBStreamBatchInfo": {
            "shardId": shard["ShardId"],
            "startSequenceNumber": numbers[0],
            "endSequenceNumber": numbers[-1],
            "approximateArrivalOfFirstRecord": timestamp_in(-60),
            "batchSize": len(numbers),
            "streamArn": arn,
        },
    }


@pytest.fixture
def failed_batches(
    publishing_stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Yield a function that sends a message to a new dead-letter queue and returns its URL.

    The commands use the stack, and its emulator of DynamoDB for the stream.
    """
    for name, value in publishing_stack.environment.items():
        monkeypatch.setenv(name, value)
    dynamodb = publishing_stack.environment["AWS_ENDPOINT_URL_DYNAMODB"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", dynamodb)
    sqs = publishing_stack.client("sqs")
    urls: list[str] = []

    def send(message: dict[str, Any]) -> str:
        urls.append(sqs.create_queue(QueueName=f"failed-{new_id()}")["QueueUrl"])
        sqs.send_message(QueueUrl=urls[-1], MessageBody=json.dumps(message))
        return urls[-1]

    yield send
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


def test_events_in_the_dead_letter_queue_are_listed_and_published_again(
    project: Project,
    publishing_stack: DevStack,
    failed_batches: Callable[[dict[str, Any]], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    witness = project.register(events=["run.canceled"])
    message = failure_message(publishing_stack, project.canceled_run())
    witness.finished_deliveries()
    endpoint = project.register()  # The stack itself has published the run before.
    url = failed_batches(message)
    batch = message["DDBStreamBatchInfo"]

    assert run_command("events", "dead-letters", "--queue-url", url) == 0
    _, row = capsys.readouterr().out.splitlines()
    first, count, arrived, expires, reason = row.split()
    assert (first, int(count)) == (batch["startSequenceNumber"], batch["batchSize"])
    assert arrived == batch["approximateArrivalOfFirstRecord"]
    assert timestamp_in(86_000) < expires < timestamp_in(86_400)
    assert reason == "RetryAttemptsExhausted"

    with monkeypatch.context() as broken:
        broken.setenv("WEBHOOK_QUEUE_URL", f"{url}-nowhere")
        assert run_command("events", "redrive", "--queue-url", url) == 1
    assert "stays in the queue: " in capsys.readouterr().out

    assert run_command("events", "redrive", "--queue-url", url) == 0
    assert f"{count} records from {first}: is published again\n" in capsys.readouterr().out
    delivered = Counter(one["event_type"] for one in endpoint.finished_deliveries(5))
    assert delivered == Counter([*PAUSED, *CANCELED])
    assert run_command("events", "redrive", "--queue-url", url) == 0
    assert first not in capsys.readouterr().out


def test_events_that_the_stream_has_removed_stay_until_the_operator_deletes_them(
    project: Project,
    publishing_stack: DevStack,
    failed_batches: Callable[[dict[str, Any]], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = failure_message(publishing_stack, project.canceled_run())
    message["DDBStreamBatchInfo"] |= {
        "shardId": "shardId-0000000000000000-removed",
        "approximateArrivalOfFirstRecord": timestamp_in(-86_500),
    }
    url = failed_batches(message)

    assert run_command("events", "dead-letters", "--queue-url", url) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[3] == "expired"
    assert run_command("events", "redrive", "--queue-url", url) == 1
    removed = "the stream has removed the records\n"
    assert f": stays in the queue: {removed}" in capsys.readouterr().out
    assert run_command("events", "redrive", "--queue-url", url, "--delete-expired") == 0
    assert f": is deleted: {removed}" in capsys.readouterr().out
    assert run_command("events", "dead-letters", "--queue-url", url) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def find_dead_letter(stack: DevStack, delivery_id: str) -> DeliveryMessage:
    """Return the message of this delivery in the dead-letter queue."""
    sqs = stack.client("sqs")
    url = stack.environment["WEBHOOK_DEAD_LETTER_QUEUE_URL"]

    def look() -> DeliveryMessage | None:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        found = [DeliveryMessage.from_text(one["Body"]) for one in messages.get("Messages", [])]
        return next((one for one in found if one.delivery_id == delivery_id), None)

    message: DeliveryMessage = wait_until(look, describe=lambda: "not in the dead-letter queue")
    return message


def test_a_delivered_notification_can_be_redelivered(project: Project) -> None:
    endpoint = project.register(events=["run.canceled"])
    project.canceled_run()
    [delivery] = endpoint.finished_deliveries()
    endpoint.post(f"/deliveries/{delivery['id']}/redeliver")
    first, second = endpoint.received(2)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


def test_an_endpoint_that_responds_with_410_is_disabled(project: Project) -> None:
    endpoint = project.register(410, events=["run.canceled"])
    project.canceled_run()
    [delivery] = endpoint.finished_deliveries()
    assert (delivery["state"], delivery["failure"]) == ("failed", "endpoint_gone")
    http = project.service.http
    view = http.get(endpoint.url).json()["data"]
    assert (view["enabled"], view["disabled_reason"]) == (False, "gone")
    assert http.post(f"{endpoint.url}/test").status_code == 409
    assert http.post(f"{endpoint.url}/deliveries/{delivery['id']}/redeliver").status_code == 409

    view = http.patch(endpoint.url, json={"enabled": True}).json()["data"]
    assert view["enabled"]
    assert "disabled_reason" not in view
    endpoint.post(f"/deliveries/{delivery['id']}/redeliver")
    assert endpoint.finished_deliveries()[0]["state"] == "delivered"


def test_the_old_and_the_new_secret_are_valid_at_the_same_time(project: Project) -> None:
    endpoint = project.register(events=["run.canceled"])
    new = endpoint.post("/rotate-secret")["secret"]
    assert new != endpoint.secret
    endpoint.post("/test")
    [request] = endpoint.received(1)
    assert verify_notification(endpoint.secret, request) == verify_notification(new, request)
    assert len(request.headers["webhook-signature"].split()) == 2

    newest = endpoint.post("/rotate-secret", overlap_hours=0)["secret"]
    endpoint.post("/test")
    _, request = endpoint.received(2)
    assert verify_notification(newest, request)["type"] == "webhook.ping"
    for old in (endpoint.secret, new):
        with pytest.raises(WebhookVerificationError):
            verify_notification(old, request)


def test_no_delivery_goes_to_a_private_address(project: Project, webhook_stores: Stores) -> None:
    # The resolver reads this as an address. It is rejected at the registration, so store it.
    url = f"https://127.1:{project.server.port}/"
    fields = {"url": url, "events": ["run.canceled"]}
    assert project.service.http.post("/v1/webhooks", json=fields).status_code == 400
    endpoint = project.register(events=["run.canceled"])
    webhook = webhook_stores.webhooks.get(project.id, endpoint.view["id"])
    assert webhook is not None
    webhook_stores.webhooks.change(webhook, {"url": url})
    endpoint.post("/test")
    [delivery] = endpoint.finished_deliveries()
    assert delivery["state"] == "failed"
    assert {one["error"] for one in delivery["attempts"]} == {"address_refused"}
    assert all("status_code" not in one for one in delivery["attempts"])


def test_a_host_removed_from_the_allow_list_is_rejected(
    project: Project, webhook_stores: Stores
) -> None:
    with LoopbackServer(project.receiver.answer) as unlisted:
        endpoint = project.register()
        webhooks = webhook_stores.webhooks
        webhook = webhooks.get(project.id, endpoint.view["id"])
        assert webhook is not None
        webhooks.change(webhook, {"url": unlisted.url})
        endpoint.post("/test")
        [delivery] = endpoint.finished_deliveries()
        assert {one["error"] for one in delivery["attempts"]} == {"address_refused"}
        assert unlisted.received == []


def test_a_deleted_endpoint_receives_nothing_and_its_secrets_are_removed(
    project: Project, webhook_stores: Stores
) -> None:
    endpoint, witness = project.register(), project.register()
    assert project.service.http.delete(endpoint.url).status_code == 204
    project.canceled_run()
    witness.finished_deliveries(5)
    assert project.service.http.get(endpoint.url).status_code == 404
    assert webhook_stores.webhooks.secrets(endpoint.view["id"]) == []
    assert webhook_stores.webhook_deliveries.newest(endpoint.view["id"], None, 10) == []


def test_the_event_bus_gets_the_same_events(project: Project, publishing_stack: DevStack) -> None:
    sqs, events = publishing_stack.client("sqs"), publishing_stack.client("events")
    url = sqs.create_queue(QueueName=f"listener-{new_id()}")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    bus, rule = publishing_stack.environment["EVENT_BUS"], f"rule-{new_id()}"
    pattern = {"source": ["runyard"], "detail": {"project_id": [project.id]}}
    events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps(pattern))
    target = {"Id": "listener", "Arn": found["Attributes"]["QueueArn"]}
    events.put_targets(Rule=rule, EventBusName=bus, Targets=[target])
    endpoint = project.register()
    project.canceled_run()
    notifications = [verify_notification(endpoint.secret, one) for one in endpoint.received(5)]

    heard: list[dict[str, Any]] = []

    def listen() -> bool | None:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        heard.extend(json.loads(one["Body"]) for one in answer.get("Messages", []))
        return True if len(heard) >= 5 else None

    wait_until(listen, describe=lambda: heard)
    on_bus = {one["detail"]["event_id"]: (one["detail-type"], one["detail"]) for one in heard}
    assert on_bus == {one["data"]["event_id"]: (one["type"], one["data"]) for one in notifications}


def test_repeated_stream_records_are_delivered_once(
    project: Project, publishing_stack: DevStack
) -> None:
    endpoint = project.register()
    run_id = project.canceled_run()
    endpoint.finished_deliveries(5)
    records = records_of(publishing_stack, run_id)
    assert records
    function = "runyard-publish-events-function"
    payload = json.dumps({"Records": records}).encode()
    for _ in range(2):
        answer = publishing_stack.client("lambda").invoke(FunctionName=function, Payload=payload)
        assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}
    # A ping goes through the same queue, after all other messages.
    endpoint.post("/test")
    assert len(endpoint.finished_deliveries(6)) == 6
    counts = Counter(one.headers["webhook-id"] for one in endpoint.received(6))
    assert set(counts.values()) == {1}


def records_of(stack: DevStack, run_id: str) -> list[dict[str, Any]]:
    """Return the whole log of the run as records of the table's stream."""
    items = stack.client("dynamodb").query(
        TableName=stack.environment["EVENTS_TABLE"],
        KeyConditionExpression="run_id = :run_id",
        ExpressionAttributeValues={":run_id": {"S": run_id}},
    )["Items"]
    return [
        {
            "eventID": new_id(),
            "eventName": "INSERT",
            "dynamodb": {"NewImage": image_of(item), "SequenceNumber": f"{number}00"},
        }
        for number, item in enumerate(items, start=1)
    ]


def test_events_of_a_compressed_batch_are_published(
    project: Project, webhook_stores: Stores, publishing_stack: DevStack
) -> None:
    endpoint = project.register(events=["run.cancel_requested"])
    witness = project.register(events=["run.canceled"])
    run_id = project.canceled_run()
    witness.finished_deliveries()
    run = webhook_stores.runs.get(run_id)
    assert run is not None
    # No use case appends after an end, but the log accepts it: long enough to compress.
    new_events = [
        NewEvent("run.cancel_requested", {"id": run_id, "note": "x" * 200}) for _ in range(20)
    ]
    last, _ = webhook_stores.log.last(run_id)
    webhook_stores.log.append(run_id, last, new_events)
    # The batches of the run itself may be compressed as well.
    packed = [
        text_of(record).count("run.cancel_requested")
        for record in records_of(publishing_stack, run_id)
        if "lines_z" in record["dynamodb"]["NewImage"]
    ]
    assert 20 in packed
    assert len(endpoint.received(21)) == 21


def test_only_records_with_published_events_pass_the_filter(
    project: Project, publishing_stack: DevStack
) -> None:
    """Only items with lifecycle events are marked for publication."""
    run_id = project.canceled_run()
    records = records_of(publishing_stack, run_id)
    published = [
        one for one in records if one["dynamodb"]["NewImage"].get("publish") == {"BOOL": True}
    ]
    rest = [one for one in records if "publish" not in one["dynamodb"]["NewImage"]]
    assert len(published) + len(rest) == len(records)
    assert all('"type":"agent.' in text_of(one) and '"run.' not in text_of(one) for one in rest)
    assert rest
    assert sum(text_of(one).count('"type":"run.') for one in published) == 4


def text_of(record: Mapping[str, Any]) -> str:
    """Return the lines of the batch in the record."""
    return b"\n".join(lines_of(item_of(record["dynamodb"]["NewImage"]))).decode()


def test_a_failed_publication_is_repeated_from_its_record(
    project: Project, publishing_stack: DevStack, webhook_stores: Stores
) -> None:
    witness = project.register(events=["run.canceled"])
    records = records_of(publishing_stack, project.canceled_run())
    witness.finished_deliveries()
    # Only now, after the stack itself has published the whole run.
    endpoint = project.register(events=["approval_request.created"])
    queue_url = publishing_stack.environment["WEBHOOK_QUEUE_URL"]
    nowhere = f"{queue_url}-nowhere"
    publisher = Publisher(
        webhook_stores,
        EventBus(publishing_stack.client("events"), publishing_stack.environment["EVENT_BUS"]),
        DeliveryQueue(publishing_stack.client("sqs"), nowhere),
    )
    expected = next(
        record["dynamodb"]["SequenceNumber"]
        for record in records
        if "approval_request.created" in text_of(record)
    )
    assert publish_events(publisher, records) == expected
    # Nothing is delivered until a message is sent; the recorded delivery is sent with the record.
    [delivery] = endpoint.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("pending", [])
    whole = replace(publisher, queue=DeliveryQueue(publishing_stack.client("sqs"), queue_url))
    assert publish_events(whole, records) is None
    assert endpoint.finished_deliveries()[0]["state"] == "delivered"


def test_a_waiting_delivery_survives_the_loss_of_its_queue(
    project: Project, publishing_stack: DevStack
) -> None:
    endpoint = project.register((503, {"retry-after": "2"}), events=["run.canceled"])
    project.canceled_run()
    endpoint.received(1)
    publishing_stack.kill("aws")
    publishing_stack.restart("aws")
    [delivery] = endpoint.finished_deliveries()
    assert delivery["state"] == "delivered"
    first, second = endpoint.received(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    waited = int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"])
    assert waited >= 1


def messages_in(stack: DevStack) -> int:
    """Return the number of messages in the queue of deliveries: visible, in flight and delayed."""
    names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    response = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.environment["WEBHOOK_QUEUE_URL"], AttributeNames=names
    )
    return sum(int(value) for value in response["Attributes"].values())


def clear_queue(stack: DevStack) -> None:
    """Remove the messages of other tests, such as those that are retried until they expire."""
    sqs = stack.client("sqs")
    # SQS allows one purge a minute: a second test of the same minute needs none.
    with suppress(sqs.exceptions.PurgeQueueInProgress):
        sqs.purge_queue(QueueUrl=stack.environment["WEBHOOK_QUEUE_URL"])


def test_a_long_pause_has_no_message_and_the_sweep_ends_it(
    project: Project, publishing_stack: DevStack, webhook_stores: Stores
) -> None:
    """Messages that wait in flight would stop the queue for every project."""
    clear_queue(publishing_stack)
    endpoint = project.register((503, {"retry-after": "7200"}), events=["run.canceled"])
    project.canceled_run()
    endpoint.received(1)
    wait_until(lambda: messages_in(publishing_stack) == 0 or None, describe=endpoint.deliveries)
    [delivery] = endpoint.deliveries()
    assert (delivery["state"], len(delivery["attempts"])) == ("pending", 1)
    publishing_stack.sweep()
    assert messages_in(publishing_stack) == 0

    end_pause(webhook_stores, delivery)
    assert publishing_stack.sweep()["deliveries"] == 1
    assert publishing_stack.sweep()["deliveries"] == 0
    assert endpoint.finished_deliveries()[0]["state"] == "delivered"
    assert len(endpoint.received(2)) == 2


def end_pause(stores: Stores, delivery: Mapping[str, Any]) -> None:
    """Move the end of the delivery's long pause into the past."""
    past = timestamp_in(-60)
    stores.deleted_runs.records.update(
        keys.webhook_delivery(delivery["webhook_id"], delivery["id"]),
        {"next_attempt_at": past, "sweep_at": past},
    )


def set_health(stores: Stores, endpoint: Endpoint, **fields: str) -> None:
    webhook = stores.webhooks.get(endpoint.project.id, endpoint.view["id"])
    assert webhook is not None
    stores.webhooks.change(webhook, fields)


def test_no_attempt_is_made_to_a_paused_endpoint(
    project: Project, publishing_stack: DevStack, webhook_stores: Stores
) -> None:
    endpoint = project.register(events=["run.canceled"])
    set_health(
        webhook_stores,
        endpoint,
        failing_since=timestamp_in(-7200),
        paused_until=timestamp_in(3600),
    )
    clear_queue(publishing_stack)
    endpoint.post("/test")
    wait_until(lambda: messages_in(publishing_stack) == 0 or None, describe=endpoint.deliveries)
    [delivery] = endpoint.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("pending", [])
    assert delivery["next_attempt_at"] > timestamp_in(3000)
    http = project.service.http
    assert {"failing_since", "paused_until"} <= http.get(endpoint.url).json()["data"].keys()

    view = http.patch(endpoint.url, json={"enabled": True}).json()["data"]
    assert not {"failing_since", "paused_until"} & view.keys()
    end_pause(webhook_stores, delivery)
    publishing_stack.sweep()
    assert endpoint.finished_deliveries()[0]["state"] == "delivered"


def test_an_endpoint_that_fails_for_days_is_disabled_and_says_so(
    project: Project, webhook_stores: Stores
) -> None:
    endpoint = project.register(500, events=["run.canceled"])
    set_health(webhook_stores, endpoint, failing_since=timestamp_in(-3 * 86_400))
    endpoint.post("/test")
    [delivery] = endpoint.finished_deliveries()
    assert (delivery["state"], delivery["failure"]) == ("failed", "webhook_disabled")
    view = project.service.http.get(endpoint.url).json()["data"]
    assert (view["enabled"], view["disabled_reason"]) == (False, "failing")


def test_the_order_of_stream_records_changes_nothing(
    project: Project, publishing_stack: DevStack, webhook_stores: Stores
) -> None:
    """A stream has an order for each item. The batches of a run are several items."""
    endpoint = project.register()
    run_id = project.canceled_run()
    expected = {one["event_id"] for one in endpoint.finished_deliveries(5)}
    later = project.register()
    records = records_of(publishing_stack, run_id)
    assert len(records) > 1
    publisher = Publisher(
        webhook_stores,
        EventBus(publishing_stack.client("events"), publishing_stack.environment["EVENT_BUS"]),
        DeliveryQueue(
            publishing_stack.client("sqs"), publishing_stack.environment["WEBHOOK_QUEUE_URL"]
        ),
    )
    assert publish_events(publisher, reversed(records)) is None
    deliveries = later.finished_deliveries(5)
    assert {one["event_id"] for one in deliveries} == expected
    assert [one["id"] for one in deliveries] == sorted(one["id"] for one in deliveries)[::-1]
    assert len(endpoint.received(5)) == 5


def test_the_runs_that_ended_are_in_the_usage_of_the_project(
    project: Project, webhook_stores: Stores
) -> None:
    runs = [project.canceled_run() for _ in range(3)]
    active = project.service.create(TICKET)["id"]

    def usage(by: str) -> list[dict[str, Any]]:
        response = project.service.http.get("/v1/usage", params={"by": by})
        rows: list[dict[str, Any]] = response.json()["data"]
        return rows

    wait_until(lambda: sum(row["runs"] for row in usage("day")) == 3)
    of_runs = [project.service.run(run_id)["usage"] for run_id in runs]
    for by in ("day", "agent", "model", "user"):
        rows = usage(by)
        for name in ("input_tokens", "output_tokens"):
            total = sum(each[name] for each in of_runs)
            assert sum(row[name] for row in rows) == total > 0
        assert sum(row["canceled"] for row in rows) == 3
    assert project.service.http.delete(f"/v1/runs/{runs[0]}").status_code == 204
    assert sum(row["runs"] for row in usage("agent")) == 3
    assert active not in runs


def test_an_invalid_queue_message_does_not_block_the_queue(
    project: Project, publishing_stack: DevStack
) -> None:
    endpoint = project.register(events=["run.canceled"])
    url = publishing_stack.environment["WEBHOOK_QUEUE_URL"]
    for body in ("garbage", "{}", json.dumps({"project_id": project.id})):
        publishing_stack.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    delivery = endpoint.post("/test")
    # From an ended round, and of an unknown delivery: both are discarded immediately.
    for name in (delivery["id"], new_id()):
        stale = DeliveryMessage(project.id, endpoint.view["id"], name, 7)
        publishing_stack.client("sqs").send_message(QueueUrl=url, MessageBody=stale.text())
    project.canceled_run()
    assert {one["state"] for one in endpoint.finished_deliveries(2)} == {"delivered"}
    assert len(endpoint.received(2)) == 2
