"""Run ministack with what it lacks of AWS; a program for the Python of .venv-deployment.

All differences between the deployment test and AWS are here. Each entry of `WORKAROUNDS` says how
ministack (its version is pinned) differs, and what this module does. The template stays as AWS
needs it.

    python -m tests.deployment.emulator_workarounds

It listens on the ports GATEWAY_PORT, API_PORT and STREAM_PORT.

API_PORT is the port of the HTTP API, because its host name cannot be resolved here. STREAM_PORT is
the port of the function URL.
"""

import asyncio
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from tests.deployment import failing_resources

WORKAROUNDS = {
    "architecture": "It runs functions in its own interpreter, where arm64 wheels cannot be "
    "imported: the layer's wheels are exchanged for this machine's between build and deploy.",
    "opt": "Layers are not unpacked in /opt: a variable that names /opt gets the real folder.",
    "errors": "A failed function loses its error's class, which Retry and Catch need: it stays.",
    "encryption": "It speaks HTTP, and the bucket's policy rejects unencrypted requests: requests "
    "count as encrypted.",
    "tokens": "SendTask* is asked for on no resource, where AWS asks for it on the machine that "
    "made the token: so does this.",
    "batches": "SendMessageBatch is an action of its own, where AWS asks for SendMessage: so does "
    "this.",
    "alarms": "An alarm on an expression is not supported: it watches the first metric in it.",
    "secrets": "Ref of a secret is its name, and on AWS its ARN: it is the ARN.",
    "waits": "TimeoutSecondsPath is not read, and a failed call before a wait is forgotten: the "
    "wait ends in time, and the task fails with the call's error.",
    "routes": "It does not read an HTTP API's OpenAPI body, which contains routes and CORS: "
    "they are made from it.",
    "addresses": "Names of APIs and function URLs cannot be resolved here: they get ports.",
    "streaming": "A function URL holds streams back, and the Web Adapter's layer is not to be had: "
    "the function's own run.sh runs with the role of the function, and answers CORS.",
}

# End-to-end tests that make no sense here, each with its reason.
_STREAMS = "tests/e2e/test_streams.py"
SKIPPED_TESTS = {
    "tests/e2e/test_contract.py": "each of its thousands of answers has to come within ten "
    "seconds, which says nothing where one machine is API Gateway, Lambda and all the rest.",
    f"{_STREAMS}::test_a_stream_closes_after_the_last_event_and_then_returns_204": "an answer "
    "without content has a content type here.",
    f"{_STREAMS}::test_a_client_that_disconnects_does_not_cancel_the_run": "it reads "
    "the run's id of the stream's answer; here the answer that leads there has it.",
}

HOST = "127.0.0.1"
_ERROR_SEPARATOR = "\x1f"

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def _module(name: str) -> Any:
    """A module of ministack, which only its own environment has."""
    return importlib.import_module(f"ministack.{name}")


# --- functions -----------------------------------------------------------------------------------


def preserve_error_names() -> None:
    """A failure's errorType is the exception's class, as awslambdaric has it."""
    runtime, functions = _module("core.lambda_runtime"), _module("services.lambda_svc")
    said = '"status": "error", "error": str(e), "trace"'
    replacement = (
        f'"status": "error", "error": type(e).__name__ + {_ERROR_SEPARATOR!r} + str(e), "trace"'
    )
    script = runtime._PYTHON_WORKER_SCRIPT
    assert said in script
    runtime._PYTHON_WORKER_SCRIPT = script.replace(said, replacement)
    execute = functions._execute_function_warm

    def executed(*arguments: Any) -> Any:
        result = execute(*arguments)
        body = result.get("body")
        if result.get("error") and _ERROR_SEPARATOR in body.get("errorMessage", ""):
            body["errorType"], _, body["errorMessage"] = body["errorMessage"].partition(
                _ERROR_SEPARATOR
            )
        return result

    functions._execute_function_warm = executed


def map_opt_to_layers() -> None:
    """Replace /opt in a function's variables by the folder where its layers are unpacked."""
    worker = _module("core.lambda_runtime").Worker
    spawn = worker._spawn

    def spawned(self: Any) -> None:
        variables = self.config.get("Environment", {}).get("Variables", {})
        named = {
            name: value for name, value in variables.items() if value.split("/")[:2] == ["", "opt"]
        }
        if named:
            opt = unpacked_layers(self.config)
            changed = {name: str(opt) + value.removeprefix("/opt") for name, value in named.items()}
            self.config = {**self.config, "Environment": {"Variables": {**variables, **changed}}}
        spawn(self)

    worker._spawn = spawned


# Where layers are unpacked, by their ARNs: each start of a worker would take 100 MB otherwise.
_unpacked: dict[str, Path] = {}
_unpacking = threading.Lock()


def unpacked_layers(config: Mapping[str, Any]) -> Path:
    """Return the folder with what /opt would contain for this function."""
    layers = config.get("Layers", [])
    key = json.dumps(layers, sort_keys=True, default=str)
    with _unpacking:
        if key not in _unpacked:
            folder = Path(tempfile.mkdtemp(prefix="opt-"))
            for layer in layers:
                unpack(_module("services.lambda_svc")._resolve_layer_zip(layer), folder)
            _unpacked[key] = folder
        return _unpacked[key]


def unpack(content: bytes | None, folder: Path) -> None:
    """Return a zip's files, with their modes. A layer of another account has none here."""
    if content:
        with zipfile.ZipFile(io.BytesIO(content)) as files:
            for each in files.infolist():
                path = Path(files.extract(each, folder))
                if mode := each.external_attr >> 16:
                    path.chmod(mode)


# --- permissions ---------------------------------------------------------------------------------


def count_as_encrypted() -> None:
    """aws:SecureTransport is true of every request: all of them come over loopback."""
    evaluator = _module("core.iam_evaluator")
    pin = evaluator.pin_request_origin
    evaluator.pin_request_origin = lambda address, _: pin(address, True)


# Which machine made a token: the ARN by the token.
_machines: dict[str, str] = {}


def ask_for_the_machine() -> None:
    """SendTaskSuccess and the like are permitted on the machine that the token is of."""
    actions = _module("core.iam_actions")
    extract = actions.extract_resource_arn

    def extracted(service: str, method: str, path: str, headers: Any, body: Any, *rest: Any) -> Any:
        if service == "states" and ".SendTask" in headers.get("x-amz-target", ""):
            return _machines.get(json.loads(body)["taskToken"], "*")
        return extract(service, method, path, headers, body, *rest)

    actions.extract_resource_arn = extracted


def send_batches_as_messages() -> None:
    """SQS's batch of messages is permitted by the action that permits one."""
    actions = _module("core.iam_actions")
    extract = actions.extract_iam_action

    def extracted(*arguments: Any) -> Any:
        action = extract(*arguments)
        return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action

    actions.extract_iam_action = extracted


def watch_first_metrics() -> None:
    """An alarm on an expression is created as an alarm on the first metric in it."""
    handlers = _module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handler = handlers["AWS::CloudWatch::Alarm"]

    def simplified(properties: Any) -> Any:
        if not isinstance(properties, Mapping) or "Metrics" not in properties:
            return properties
        metric = properties["Metrics"][1]["MetricStat"]
        others = {name: value for name, value in properties.items() if name != "Metrics"}
        return {**others, **metric["Metric"], "Period": metric["Period"], "Statistic": "Maximum"}

    def with_simple_alarm(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            return call(*map(simplified, arguments), **named)

        return called

    handlers["AWS::CloudWatch::Alarm"] = {
        **handler,
        "create": with_simple_alarm(handler["create"]),
        "update": with_simple_alarm(handler["update"]),
    }


def refer_to_secrets_by_arn() -> None:
    """Make `Ref` of a secret return its ARN, as CloudFormation does."""
    handlers = _module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handler = handlers["AWS::SecretsManager::Secret"]

    def created(*arguments: Any) -> Any:
        _, attributes = handler["create"](*arguments)
        return attributes["Arn"], attributes

    handlers["AWS::SecretsManager::Secret"] = {**handler, "create": created}


# --- the state machine ---------------------------------------------------------------------------


def end_waits() -> None:
    """A wait for a token ends with its time, or with the failure of the call that starts it."""
    machine = _module("services.stepfunctions")
    task, wait, call = machine._execute_task, machine._invoke_with_callback, machine._call_lambda
    waiting = threading.local()

    def task_in_time(state: Any, raw: Any, execution: Any, context: Any) -> Any:
        if path := state.get("TimeoutSecondsPath"):
            state = {**state, "TimeoutSeconds": machine._resolve_path(path, raw)}
        waiting.machine = context["StateMachine"]["Id"]
        return task(state, raw, execution, context)

    def wait_for(resource: Any, given: Any, token: str, state: Any) -> Any:
        waiting.token = token
        _machines[token] = waiting.machine
        try:
            return wait(resource, given, token, state)
        finally:
            waiting.token = None

    def called(function: Any, event: Any) -> Any:
        token, waiting.token = getattr(waiting, "token", None), None
        try:
            return call(function, event)
        except machine._ExecutionError as error:
            if entry := machine._task_tokens.get(token):
                entry["error"] = {"Error": error.error, "Cause": error.cause}
                entry["event"].set()
            raise

    machine._execute_task = task_in_time
    machine._invoke_with_callback = wait_for
    machine._call_lambda = called


# --- the endpoints -------------------------------------------------------------------------------


def make_routes(address: str) -> None:
    """An HTTP API gets the routes and the CORS of its OpenAPI body, and `address` for its own."""
    handlers = _module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handler = handlers["AWS::ApiGatewayV2::Api"]
    create, update = handler["create"], handler["update"]

    def created(logical_id: str, properties: Any, *rest: Any) -> Any:
        made, attributes = create(logical_id, _with_cors(properties), *rest)
        _add_routes(made, properties["Body"], address)
        return made, {**attributes, "ApiEndpoint": address}

    def updated(made: str, old: Any, new: Any, *rest: Any, **named: Any) -> Any:
        made, attributes = update(made, _with_cors(old), _with_cors(new), *rest, **named)
        _add_routes(made, new["Body"], address)
        return made, {**attributes, "ApiEndpoint": address}

    handlers["AWS::ApiGatewayV2::Api"] = {**handler, "create": created, "update": updated}


def _with_cors(properties: Any) -> Any:
    cors = properties["Body"].get("x-amazon-apigateway-cors")
    return {**properties, "CorsConfiguration": cors} if cors else properties


def _add_routes(api_id: str, body: Any, address: str) -> None:
    """The routes of the body and no others."""
    gateway = _module("services.apigateway")
    gateway._apis[api_id]["apiEndpoint"] = address
    gateway._routes[api_id], gateway._integrations[api_id] = {}, {}
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            integration = {
                "integrationType": integration["type"].upper(),
                "integrationUri": integration["uri"],
                "integrationMethod": integration["httpMethod"],
                "payloadFormatVersion": integration["payloadFormatVersion"],
                "timeoutInMillis": integration["timeoutInMillis"],
            }
            _, _, made = gateway._create_integration(api_id, integration)
            http_method = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            key = path if path == "$default" else f"{http_method} {path}"
            target = f"integrations/{json.loads(made)['integrationId']}"
            gateway._create_route(api_id, {"routeKey": key, "target": target})


def with_port_in_host(app: Asgi, port: int) -> Asgi:
    """The app, with the HTTP API's own path before what comes in by `port`."""

    async def routed(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["server"][1] == port:
            apis = [api for _, api in _module("services.apigateway")._apis.all_items()]
            before = f"/_aws/execute-api/{apis[0]['apiId'] if apis else 'none'}/$default"
            raw = before.encode() + scope["raw_path"]
            # Links lead back by what brought the request; on AWS that is https.
            headers = [*scope["headers"], (b"x-forwarded-proto", b"http")]
            path = before + scope["path"]
            scope = {**scope, "path": path, "raw_path": raw, "headers": headers}
        await app(scope, receive, send)

    return routed


class StreamingEndpoint:
    """The function with a URL, run by its own `run.sh`, which each deployment restarts."""

    def __init__(self, port: int, lifeline: str) -> None:
        """`lifeline` is the program that ends it when this one ends."""
        self._port, self._lifeline = port, lifeline
        self._running: subprocess.Popen[bytes] | None = None
        self._deployed: object = None

    def watch(self) -> None:
        """Take over the URLs' addresses, and follow what is deployed in a thread of its own."""
        functions = _module("services.lambda_svc")
        create = functions._create_function_url_config

        def created(name: str, data: Any, qualifier: Any) -> Any:
            answer = create(name, data, qualifier)
            key = functions._url_config_key(name, qualifier)
            functions._function_urls[key]["FunctionUrl"] = f"http://{HOST}:{self._port}/"
            return answer[0], answer[1], json.dumps(functions._function_urls[key]).encode()

        functions._create_function_url_config = created
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        functions = _module("services.lambda_svc")
        while True:
            time.sleep(0.2)
            for (account, region, key), url in functions._function_urls.all_items():
                name, _, qualifier = key.partition(":")
                function, config, _ = functions._get_func_record_for_ref_in_scope(
                    f"{name}:{qualifier}" if qualifier else name, account_id=account, region=region
                )
                if not config:
                    continue
                parts = [config.get(part) for part in ("CodeSha256", "Layers", "Environment")]
                deployed = json.dumps([*parts, url.get("Cors")], sort_keys=True)
                if deployed != self._deployed:
                    self._deployed = deployed
                    self._start(function["code_zip"], config, url)

    def _start(self, code: bytes, config: Mapping[str, Any], url: Mapping[str, Any]) -> None:
        if self._running:
            self._running.terminate()
            self._running.wait()
        folder = Path(tempfile.mkdtemp(prefix="stream-"))
        unpack(code, folder)
        origins = url.get("Cors", {}).get("AllowOrigins", [""])
        runtime = _module("core.lambda_runtime")
        self._running = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                self._lifeline,
                str(os.getpid()),
                f"./{config['Handler']}",
            ],
            cwd=folder,
            env={
                **config["Environment"]["Variables"],
                **runtime.execution_credentials(config),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(unpacked_layers(config) / "python"),
                "LAMBDA_TASK_ROOT": str(folder),
                "LAMBDA_RUNTIME_DIR": str(folder),
                "AWS_REGION": os.environ["AWS_DEFAULT_REGION"],
                "AWS_DEFAULT_REGION": os.environ["AWS_DEFAULT_REGION"],
                "AWS_ENDPOINT_URL": f"http://{HOST}:{os.environ['GATEWAY_PORT']}",
                "AWS_LWA_PORT": str(self._port),
                "CORS_ORIGIN": origins[0],
            },
        )


def main() -> None:
    """Step around, and serve until killed."""
    api_port, stream_port = int(os.environ["API_PORT"]), int(os.environ["STREAM_PORT"])
    count_as_encrypted()  # Before the app takes the names that it imports.
    app = _module("app")
    preserve_error_names()
    map_opt_to_layers()
    ask_for_the_machine()
    send_batches_as_messages()
    watch_first_metrics()
    refer_to_secrets_by_arn()
    end_waits()
    failing_resources.install()
    make_routes(f"http://{HOST}:{api_port}")
    StreamingEndpoint(stream_port, os.environ["LIFELINE"]).watch()
    config = importlib.import_module("hypercorn.config").Config()
    config.bind = [f"{HOST}:{os.environ['GATEWAY_PORT']}", f"{HOST}:{api_port}"]
    config.keep_alive_timeout = 75
    serve = importlib.import_module("hypercorn.asyncio").serve
    asyncio.run(serve(with_port_in_host(app.app, api_port), config))


if __name__ == "__main__":
    main()
