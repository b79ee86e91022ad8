"""Serve Lambda's Invoke API on loopback, for the state machine and for `boto3.client("lambda")`.

`POST /2015-03-31/functions/{name or ARN}/invocations`, synchronous or with the invocation type
`Event`. `GET /ready` returns 200 when the handlers are imported. `GET /invocations` returns how
many invocations of each function have started and how many are active. `LAMBDA_WORKERS` is the
number of processes that execute invocations; with more than one, each counts only its own.
"""

import argparse
import os
import re
import threading
from pathlib import Path
from urllib.parse import unquote

from runyard_dev.emulators.loopback_http import JsonHandler, LoopbackServer
from runyard_dev.lambda_.own_code import OwnCode
from runyard_dev.lambda_.runtime import MAX_CONCURRENCY, Runtime
from runyard_dev.lambda_.workers import serve_by_workers
from runyard_dev.plugin import install_plugin
from runyard_dev.template.template import read_template

_INVOCATIONS = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations/?(?:\?.*)?$")
_CONFIGURATION = re.compile(r"^/2015-03-31/functions/([^/]+)/configuration/?(?:\?.*)?$")


class InvokeHandler(JsonHandler):
    """The routes of an endpoint. `make_server` sets `runtime` and `failures`."""

    runtime: Runtime
    own_code: OwnCode
    failures: dict[str, str] | None = None
    """Functions that could not be imported; None until all of them were tried."""

    def do_GET(self) -> None:
        """Return 200 when the import of every handler is over, or the counts of invocations."""
        if self.path == "/invocations":
            self.respond(200, self.runtime.counts())
            return
        if match := _CONFIGURATION.match(self.path):
            self._describe(unquote(match.group(1)))
            return
        known = self.failures
        answer = {"failed": known or {}, "pid": os.getpid()}
        self.respond(503 if known is None else 200, answer)

    def do_POST(self) -> None:
        """Invoke a function."""
        payload = self.body()
        match = _INVOCATIONS.match(self.path)
        name = unquote(match.group(1)) if match else self.path
        if agent := self.own_code.find(name):
            body, is_failure = self.own_code.invoke(agent, payload)
            self.respond(200, body, {"X-Amz-Function-Error": "Unhandled"} if is_failure else {})
            return
        function = self.runtime.find(name)
        if function is None:
            self._respond_not_found(name)
            return
        kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if kind == "Event":
            request_id = self.runtime.invoke_later(function, payload)
            self.respond(202, b"", {"x-amzn-RequestId": request_id})
            return
        outcome = self.runtime.invoke(function, payload)
        headers = {"x-amzn-RequestId": outcome.request_id, "X-Amz-Executed-Version": "$LATEST"}
        if outcome.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        self.respond(200, outcome.payload, headers)

    def _describe(self, name: str) -> None:
        """Answer with the configuration of an agent's function, which has one version here."""
        agent = self.own_code.find(name)
        if agent is None:
            self._respond_not_found(name)
            return
        self.respond(200, {"FunctionName": name, "Version": "$LATEST", "CodeSha256": agent.sha256})

    def _respond_not_found(self, name: str) -> None:
        self.respond(
            404,
            {"Type": "User", "Message": f"Function not found: {name}"},
            {"x-amzn-ErrorType": "ResourceNotFoundException"},
        )


def make_server(port: int, runtime: Runtime, *, in_background: bool = True) -> LoopbackServer:
    """Return the endpoint on `port`. Import the handlers before that, or in the background."""

    class BoundHandler(InvokeHandler):
        pass

    BoundHandler.runtime = runtime
    # Functions in files are named relative to the folder that contains the agents' folder.
    BoundHandler.own_code = OwnCode(
        Path(os.environ.get("AGENTS_DIR") or "agents").absolute().parent
    )

    def preload() -> None:
        failures = runtime.preload()
        for function, reason in failures.items():
            print(f"{function} cannot be imported: {reason}", flush=True)
        BoundHandler.failures = failures

    server = LoopbackServer(port, BoundHandler)
    if in_background:
        threading.Thread(target=preload, name="preload", daemon=True).start()
    else:
        preload()
    return server


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--region", required=True)
    arguments = parser.parse_args()
    install_plugin()
    template = read_template(arguments.template, region=arguments.region)
    workers = int(os.environ.get("LAMBDA_WORKERS") or 1)
    runtime = Runtime(template.functions.values(), max(1, MAX_CONCURRENCY // workers))
    server = make_server(arguments.port, runtime, in_background=workers == 1)
    if workers > 1:
        serve_by_workers(server, workers)
    server.serve_forever()


if __name__ == "__main__":
    main()
