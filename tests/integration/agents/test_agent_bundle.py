"""Test agents published in S3: a running API loads a new object, and never a part of it."""

import itertools
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from runyard_dev import clients
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.s3 import bucket as store_bucket
from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.registry import Registry
from runyard_service.domain.errors import DefinitionError, StoreUnavailableError
from runyard_service.domain.ids import new_id
from tests.support.app_server import app_with, make_services

SAMPLES = AgentDirectory(Path("agents")).read()
SAMPLE = SAMPLES["support_triage.yaml"]
VERSION_2 = {**SAMPLES, "second.yaml": SAMPLE.replace('version: "1"', 'version: "2"')}
INVALID = {**SAMPLES, "second.yaml": "key: support_triage\n"}
TICKET = {"ticket_subject": "Export is broken"}


class Bucket:
    """The stack's bucket, with a key that no other test uses; records the statuses of S3."""

    def __init__(self, stack: DevStack) -> None:
        self.name = stack.environment["BUCKET"]
        self.key = f"agents/{new_id()}.json"
        self.client = clients.client("s3", stack.environment)
        self.answers: list[int] = []
        self.client.meta.events.register("after-call.s3.GetObject", self._record)

    def bundle(self, refresh_seconds: float = 0) -> AgentBundle:
        """Return the bundle, as a separate process would read it."""
        bucket = store_bucket.Bucket(self.name, lambda: self.client)
        return AgentBundle(bucket, self.key, refresh_seconds)

    def _record(self, http_response: Any, **_: Any) -> None:
        self.answers.append(http_response.status_code)


@pytest.fixture
def bucket(stack: DevStack) -> Bucket:
    return Bucket(stack)


@pytest.fixture
def api(stack: DevStack, bucket: Bucket) -> Iterator[TestClient]:
    """Yield a client of an API that reads the published agents at every request."""
    services = replace(make_services(stack), catalog=Registry(bucket.bundle()))
    headers = {"Authorization": f"Bearer {stack.access_key}"}
    with TestClient(app_with(services), headers=headers) as client:
        yield client


def agent_of_a_run(api: TestClient, stores: Stores) -> str:
    """Return the version of the sample agent with which a new run starts."""
    response = api.post("/v1/runs", json={"input": TICKET, "background": True})
    assert response.status_code == 202, response.text
    run = stores.runs.get(response.json()["data"]["id"])
    assert run is not None
    return run.agent


def test_a_running_api_loads_new_agents_and_ignores_invalid_ones(
    bucket: Bucket, api: TestClient, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.bundle().write(SAMPLES)
    assert agent_of_a_run(api, stores) == "support_triage@1"
    bucket.bundle().write(VERSION_2)
    assert agent_of_a_run(api, stores) == "support_triage@2"
    with caplog.at_level(logging.ERROR, "runyard_service.agents.registry"):
        bucket.bundle().write(INVALID)
        for _ in range(2):
            assert agent_of_a_run(api, stores) == "support_triage@2"
    (record_logged,) = [
        record for record in caplog.records if record.name == "runyard_service.agents.registry"
    ]
    assert "second.yaml, line 1: version: is required" in record_logged.getMessage()
    bucket.bundle().write(SAMPLES)
    assert agent_of_a_run(api, stores) == "support_triage@1"


def test_the_api_starts_before_agents_are_published(
    bucket: Bucket, api: TestClient, stores: Stores
) -> None:
    assert api.get("/v1/health").status_code == 200
    response = api.post("/v1/runs", json={"input": TICKET})
    assert response.status_code == 503
    bucket.bundle().write(SAMPLES)
    assert agent_of_a_run(api, stores) == "support_triage@1"


def test_an_unchanged_bundle_is_not_downloaded_again(bucket: Bucket) -> None:
    bucket.bundle().write(SAMPLES)
    catalog = Registry(bucket.bundle())
    for _ in range(3):
        catalog.agent("assistant")
    assert bucket.answers[0] == 200
    assert set(bucket.answers[1:]) == {304}


def test_s3_is_polled_at_intervals(bucket: Bucket) -> None:
    bucket.bundle().write(SAMPLES)
    catalog = Registry(bucket.bundle(refresh_seconds=3600))
    for _ in range(3):
        catalog.agent("assistant")
    assert bucket.answers == [200]
    bucket.bundle().write(VERSION_2)
    assert catalog.agent("support_triage").name == "support_triage@1"


def test_loaded_agents_remain_when_s3_is_unreachable(
    stack: DevStack, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.bundle().write(SAMPLES)
    catalog = Registry(bucket.bundle())
    catalog.agent("assistant")
    nowhere: Any = Bucket(stack)
    nowhere.client = clients.client(
        "s3", {**stack.environment, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    )
    with pytest.raises(StoreUnavailableError):
        Registry(nowhere.bundle()).agent("assistant")
    with caplog.at_level(logging.ERROR):
        bucket.client.meta.events.register("before-send.s3.GetObject", _time_out)
        for _ in range(2):
            assert catalog.agent("assistant").name == "assistant@1"
    assert len(caplog.records) == 1
    bucket.client.meta.events.unregister("before-send.s3.GetObject", _time_out)
    bucket.client.delete_object(Bucket=bucket.name, Key=bucket.key)
    assert catalog.agent("assistant").name == "assistant@1"


def _time_out(**_: Any) -> None:
    from botocore.exceptions import ConnectTimeoutError

    raise ConnectTimeoutError(endpoint_url="s3")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": {"routes.yaml": 1}}'])
def test_an_invalid_bundle_object_is_named_in_the_error(bucket: Bucket, content: bytes) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=bucket.key, Body=content)
    with pytest.raises(DefinitionError, match=rf"^s3://{bucket.name}/{bucket.key}: is not a"):
        Registry(bucket.bundle()).agent("assistant")


def test_a_reader_never_sees_agents_of_two_uploads(bucket: Bucket) -> None:
    """Change both agents with each upload, and read them during many uploads."""

    def both(version: int) -> Mapping[str, str]:
        new = f'version: "{version}"'
        return {name: text.replace('version: "1"', new) for name, text in SAMPLES.items()}

    bucket.bundle().write(both(1))
    catalog, stop = Registry(bucket.bundle()), threading.Event()

    def publish() -> None:
        for version in itertools.count(2):
            bucket.bundle().write(both(version))
            if stop.is_set():
                return

    publisher = threading.Thread(target=publish)
    publisher.start()
    seen = [
        {persona.snapshot.definition.version for persona in catalog.personas()} for _ in range(60)
    ]
    stop.set()
    publisher.join()
    assert {len(versions) for versions in seen} == {1}
    assert len(set(map(frozenset, seen))) > 1


def test_the_object_is_plain_json(bucket: Bucket) -> None:
    bucket.bundle().write({"routes.yaml": "ä: 1\n"})
    stored = bucket.client.get_object(Bucket=bucket.name, Key=bucket.key)
    assert stored["ContentType"] == "application/json"
    assert json.loads(stored["Body"].read()) == {"files": {"routes.yaml": "ä: 1\n"}}
