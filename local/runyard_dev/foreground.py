"""Run the local stack in the foreground until Ctrl-C: the implementation of `runyard dev`."""

import json
import os
import shlex
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import quote

from runyard_dev.dev_stack import DevStack
from runyard_dev.error_lines import watch_errors
from runyard_service.agents.definitions.loader import AgentSet
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.application.maintenance.check_agents import check_agents
from runyard_service.domain.errors import DefinitionError
from runyard_service.settings import Settings

SAMPLE_TICKET = {
    "ticket_subject": "Charged twice for June invoice",
    "ticket_body": "Hi, my card was charged twice this month. Order #4812.",
}


class StopRequestedError(Exception):
    """A signal requested the end of the stack."""


def run_in_foreground(
    *,
    data_dir: Path,
    port: int,
    agents_dir: Path,
    access_key: str | None,
    sweep_seconds: float,
    with_parent: bool,
) -> None:
    """Start the stack and return after a signal has stopped it.

    With `with_parent` the end of the parent process also stops it. Raises `LocalStackError` if the
    stack cannot start or continue, and `DefinitionError` if the agents have errors.
    """
    _stop_on_signals()
    if with_parent:
        _end_with_parent()
    try:
        files = AgentDirectory(agents_dir)
        agents = check_folder(files)
        threading.Thread(target=_watch_agents, args=(files,), name="agents", daemon=True).start()
        with DevStack.start(
            data_dir=data_dir,
            port=port,
            agents_dir=agents_dir,
            key=access_key,
            sweep_seconds=sweep_seconds,
            report=_print,
        ) as stack:
            watch_errors(stack.logs, _print)
            if Settings.from_environment(stack.environment).console:
                _print(f"console   {console_url(stack.base_url, stack.access_key)}")
            _print(_ready_line(stack, agents))
            stack.wait()
    except StopRequestedError:
        return


def check_folder(files: AgentDirectory) -> AgentSet:
    """Check the agents, set DEFAULT_AGENT and DEFAULT_PERSONA for the stack, and print warnings."""
    # If AGENT_VARIABLES is not set, the stack sets the address of the sample service.
    variables = {"AGENT_VARIABLES": '{"CRM_URL": ""}', **os.environ}
    checked = check_agents(files.read(), Settings.from_environment(variables))
    os.environ.update(checked.default_agents)
    for warning in checked.warnings:
        _print(f"agents    warning: {warning}")
    return checked.agents


def _watch_agents(files: AgentDirectory) -> None:
    """Print for each change of the agent files whether the stack uses it."""
    seen = files.fingerprint()
    while True:
        time.sleep(1)
        if (now := files.fingerprint()) == seen:
            continue
        seen = now
        try:
            check_folder(files)
            _print("agents    read again")
        except DefinitionError as error:
            _print("agents    not read again, they stay as they were:")
            for problem in str(error).splitlines():
                _print(f"          {problem}")


def _print(line: str) -> None:
    print(line, flush=True)


def example_input(agents: AgentSet) -> dict[str, Any]:
    """Return an input for the default agent, which executes the runs of the stack's key.

    Only the sample agent gets a realistic input. Others get a value of the right type for each
    required property.
    """
    agent = agents.find(Settings.from_environment().default_agent)
    schema = agent.input_schema if agent else {}
    required = schema.get("required", [])
    if required and set(required) <= set(SAMPLE_TICKET):
        return dict(SAMPLE_TICKET)
    properties = schema.get("properties", {})
    return {name: _example_value(properties.get(name, {})) for name in required}


def _example_value(schema: Mapping[str, Any]) -> Any:
    for values in (schema.get("examples"), schema.get("enum")):
        if values:
            return values[0]
    for name in ("const", "default", "minimum"):
        if name in schema:
            return schema[name]
    types = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
    return types.get(str(schema.get("type")), "example")


def console_url(base_url: str, access_key: str) -> str:
    """Return the address of the web console with the key, which the page removes at once."""
    return f"{base_url}/console/#key={quote(access_key, safe='')}"


def _ready_line(stack: DevStack, agents: AgentSet) -> str:
    body = json.dumps({"input": example_input(agents)})
    curl = (
        f"curl -s {stack.base_url}/v1/runs -H 'Authorization: Bearer {stack.access_key}'"
        f" -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )
    return f"ready     {stack.base_url}  key {stack.access_key}  try: {curl}"


def _stop_on_signals() -> None:
    def stop(_: int, __: FrameType | None) -> NoReturn:
        # Ignore a second Ctrl-C: it must not interrupt the stop.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise StopRequestedError

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _end_with_parent() -> None:
    """Stop when the parent process has ended. `make` can be killed with SIGKILL."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
