"""Test the streaming function as deployed: the output of `make build`, started by its run.sh.

The environment has only the variables of Lambda and the template. The test does the work of the
Lambda Web Adapter: it waits for the readiness path, and forwards requests with their headers.
"""

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from runyard_dev.dev_stack import DevStack
from runyard_dev.template.template import read_template
from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.application.maintenance.publish_agents import publish_agents
from runyard_service.domain.ids import new_id
from runyard_service.settings import Settings
from tests.support.built_artifacts import Layout, assemble_function, python_folder
from tests.support.service import TERMINAL, Service, assert_whole
from tests.template.repository import ROOT

pytestmark = [
    pytest.mark.skipif(not python_folder(), reason="needs Python 3.13 (pyenv install 3.13)"),
    pytest.mark.timeout(600),  # Builds the output if it is missing or outdated.
]

HELP = {"ticket_subject": "Help!"}
# A request of a function URL as the adapter forwards it; see its documentation.
ADAPTERS_HEADERS = {
    "x-amzn-request-context": json.dumps(
        {
            "accountId": "anonymous",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.lambda-url.eu-central-1.on.aws",
            "http": {"method": "GET", "path": "/v1/runs", "protocol": "HTTP/1.1"},
            "requestId": "5f2a2f3c-9c57-4e0b-8e2f-3f1e5a1c9d11",
            "stage": "$default",
        }
    ),
    "x-amzn-lambda-context": json.dumps(
        {
            "request_id": "5f2a2f3c-9c57-4e0b-8e2f-3f1e5a1c9d11",
            "deadline": 4102444800000,
            "invoked_function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:stream",
            "xray_trace_id": None,
            "client_context": None,
            "identity": None,
            "env_config": {"function_name": "stream", "memory": 1024, "version": "$LATEST"},
        }
    ),
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "https",
    "x-forwarded-port": "443",
    "origin": "https://example.com",
}


def environment(stack: DevStack, layout: Layout, port: int) -> dict[str, str]:
    """Return the variables of Lambda and the template, with the addresses of the local stack."""
    lambdas_own = {
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_FUNCTION_NAME": "stream",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_RUNTIME_DIR": str(layout.runtime),
        "LAMBDA_TASK_ROOT": str(layout.task),
        "LANG": "en_US.UTF-8",
        "PATH": f"{layout.python_folder}:/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
        "_HANDLER": "run.sh",
    }
    function = read_template(ROOT / "template.yaml").functions["StreamFunction"]
    aws = {name: text for name, text in stack.environment.items() if name.startswith("AWS_")}
    different_here = {
        "AWS_LWA_PORT": str(port),
        "LAYERS_DIR": str(layout.layers),
        # Fourteen minutes are too long for a test.
        "STREAM_MAX_SECONDS": "1",
        "STREAM_HEARTBEAT_SECONDS": "0.3",
    }
    return {**aws, **lambdas_own, **function.environment, **different_here}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of the function, which CloudWatch would have."""
    return tmp_path_factory.mktemp("output") / "log"


@pytest.fixture(scope="module")
def function(
    stack: DevStack, tmp_path_factory: pytest.TempPathFactory, output: Path
) -> Iterator[str]:
    """Yield the address at which the adapter reaches the function."""
    settings = Settings.from_environment(stack.environment)
    # The deployment does this.
    publish_agents(
        AgentDirectory(Path(settings.agents_dir)),
        AgentBundle(Bucket(settings.bucket, lambda: stack.client("s3"))),
        settings,
    )
    layout = assemble_function("StreamFunction", tmp_path_factory.mktemp("lambda"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [layout.task / "run.sh"],
            cwd=layout.task,
            env=environment(stack, layout, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_ready(url, process, output)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", output: Path) -> None:
    """Poll the readiness path, as the adapter does."""
    path = (
        read_template(ROOT / "template.yaml")
        .functions["StreamFunction"]
        .environment["AWS_LWA_READINESS_CHECK_PATH"]
    )
    until = time.monotonic() + 120
    while True:
        try:
            if httpx.get(url + path, timeout=10).status_code < 500:
                return
        except httpx.TransportError:
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < until, output.read_text()
        time.sleep(0.01)


@pytest.fixture
def stream_client(stack: DevStack, function: str) -> Iterator[httpx.Client]:
    """Yield a client whose requests have the headers of the adapter."""
    headers = {**ADAPTERS_HEADERS, "authorization": f"Bearer {stack.access_key}"}
    with httpx.Client(base_url=function, headers=headers, timeout=60) as client:
        yield client


def test_a_run_is_followed_while_it_continues(
    stream_client: httpx.Client, service: Service
) -> None:
    seen: list[dict[str, Any]] = []
    ages = 0
    with stream_client.stream("POST", "/v1/runs", json={"input": HELP, "stream": True}) as answer:
        assert_streamed(answer.headers)
        run_id = answer.headers["x-run-id"]
        path = f"/v1/runs/{run_id}/stream"
        assert answer.headers["location"] == path
        ages += read(answer, seen)
    # All stored events have been sent, and the run waits for the answer below; meanwhile
    # the connection has reached its maximum age.
    while not seen or seen[-1]["type"] not in TERMINAL:
        if seen and seen[-1]["type"] == "run.paused":
            assert service.answer(service.run(run_id), feedback="billing").status_code == 200
        cursor = {"Last-Event-ID": str(len(seen))}
        with stream_client.stream("GET", path, headers=cursor) as answer:
            assert_streamed(answer.headers)
            ages += read(answer, seen)
    assert ages > 0
    assert_whole(seen)
    assert seen == service.events(run_id)
    nothing_left = stream_client.get(path, headers={"Last-Event-ID": str(len(seen))})
    assert (nothing_left.status_code, nothing_left.content) == (204, b"")


def read(answer: httpx.Response, seen: list[dict[str, Any]]) -> bool:
    """Read a stream to its end; return true if it ends because of its maximum age."""
    assert answer.status_code == 200
    lines = list(answer.iter_lines())
    assert lines[0] == "retry: 2000"
    seen += [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    return lines[-1].startswith(": maximum connection age reached")


def assert_streamed(headers: Mapping[str, str]) -> None:
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert not {"content-length", "content-encoding", "server"} & set(headers)
    # The function URL adds these headers; a browser rejects duplicates.
    assert not [name for name in headers if name.startswith("access-control-")]


def test_a_ticket_of_the_api_is_valid_at_the_streaming_endpoint(
    stream_client: httpx.Client, service: Service, output: Path
) -> None:
    run = service.create({"ticket_subject": "Export is broken"})
    made = service.http.post(f"/v1/runs/{run['id']}/ticket").json()["data"]
    path = urlsplit(made["url"])
    del stream_client.headers["authorization"]
    answer = stream_client.get(f"{path.path}?{path.query}")
    assert "event: run.completed" in answer.text
    other = service.create({"ticket_subject": "Export is broken"})
    assert stream_client.get(f"/v1/runs/{other['id']}/stream?{path.query}").status_code == 401
    # Its own tickets have the address that the caller used.
    (ticket,) = parse_qs(path.query)["ticket"]
    assert ticket not in output.read_text()


@pytest.mark.parametrize("path", ["/v1/runs/{}/stream", "/threads/v1/runs/{}/events"])
def test_errors_have_the_same_shape_at_both_endpoints(
    stream_client: httpx.Client, service: Service, path: str
) -> None:
    unknown = path.format(new_id())
    known = path.format(service.create({"ticket_subject": "Export is broken"})["id"])
    for status, address, headers in (
        (404, unknown, {}),
        (401, known, {"authorization": "Bearer wrong"}),
        (400, known, {"last-event-id": "x"}),
        (400, known, {"last-event-id": "100000"}),
    ):
        here = stream_client.get(address, headers=headers)
        there = service.http.get(address, headers=headers)
        assert here.status_code == there.status_code
        assert here.headers["content-type"] == there.headers["content-type"] == "application/json"
        assert without_ids(here) == without_ids(there)
        if path.startswith("/v1"):
            assert here.status_code == status


def without_ids(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "trace_id"}


def test_an_event_that_is_not_a_request_starts_no_run(
    stream_client: httpx.Client, service: Service
) -> None:
    """The adapter sends payloads of other kinds (a schedule, a manual invocation) to /events."""
    before = service.http.get("/v1/runs?page_size=1").json()["pagination"]["total_count"]
    payload = {"source": "aws.events", "detail-type": "Scheduled Event", "input": HELP}
    del stream_client.headers["authorization"]
    answer = stream_client.post("/events", json=payload)
    assert answer.status_code == 421, "the endpoint rejects unknown paths before the application"
    after = service.http.get("/v1/runs?page_size=1").json()["pagination"]["total_count"]
    assert after == before
