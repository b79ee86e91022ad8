"""Plan the processes of the local stack: their commands and their ports.

The stack stops them in the reverse order of their start, so dependencies end last.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runyard_dev import stack_environment
from runyard_dev.emulators import dynoxide
from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.processes.process import ManagedProcess, free_ports
from runyard_dev.template.template import LocalTemplate, read_template

DYNAMODB, LAMBDA, AWS, SAMPLES, WEB = "dynamodb", "lambda", "aws", "samples", "web"


@dataclass(frozen=True)
class StackPlan:
    """The plan of a stack, before its start."""

    template: LocalTemplate
    environment: dict[str, str]
    parts: dict[str, ManagedProcess]
    port: int


@dataclass(frozen=True)
class StackConfig:
    """The options of a stack."""

    repository: Path
    data_dir: Path
    agents_dir: Path
    port: int
    """The port of the web server; 0 selects a free port."""
    user: Mapping[str, str]
    """The environment of the process that starts the stack."""
    web: bool


def plan(site: StackConfig, report: Callable[[str], None]) -> StackPlan:
    """Choose the ports and the DynamoDB emulator. Return the environment and the commands."""
    *inner, free = free_ports(5)
    ports = dict(zip((DYNAMODB, LAMBDA, AWS, SAMPLES), inner, strict=True))
    ports[WEB] = site.port or free
    template_path = site.repository / "template.yaml"
    template = read_template(template_path, region=site.user.get("AWS_REGION") or "us-east-1")
    dynamodb = dynoxide.locate(ports[DYNAMODB], site.data_dir, report)
    environment = stack_environment.environment_for(
        template,
        site.user,
        dynamodb_endpoint=dynamodb.endpoint or _url(ports[DYNAMODB]),
        aws_endpoint=_url(ports[AWS]),
        lambda_endpoint=_url(ports[LAMBDA]),
        samples_port=ports[SAMPLES],
        agents_dir=site.agents_dir,
    )
    parts = _own_parts(site, ports, environment, template.region)
    if dynamodb.endpoint is None:
        description = "; ".join(filter(None, (dynamodb.description, dynamodb.note)))
        own = {**os.environ, **dynamodb.environment}
        log = _log(site, DYNAMODB)
        emulator = ManagedProcess(
            DYNAMODB, description, dynamodb.command, ports[DYNAMODB], log, own
        )
        parts.insert(0, emulator)
    if not site.web:
        parts = [part for part in parts if part.name != WEB]
    return StackPlan(template, environment, {part.name: part for part in parts}, ports[WEB])


def web_command(port: int, repository: Path) -> tuple[str, ...]:
    """Return the command of the web server, which imports `functions` from `repository`."""
    return (
        *(sys.executable, "-m", "uvicorn", "--factory", "runyard_dev.web:create_app"),
        *("--app-dir", str(repository)),
        *("--host", HOST, "--port", str(port), "--no-access-log"),
        # No proxy sets X-Forwarded-… here, so clients could write any address into it.
        "--no-proxy-headers",
        # Otherwise open streams would delay Ctrl-C until their clients disconnect.
        *("--timeout-graceful-shutdown", "1"),
        # Longer than clients cache an idle connection: otherwise requests on it would fail.
        *("--timeout-keep-alive", "75"),
    )


def _own_parts(
    site: StackConfig, ports: Mapping[str, int], environment: Mapping[str, str], region: str
) -> list[ManagedProcess]:
    template = ("--template", str(site.repository / "template.yaml"), "--region", region)
    s3 = ("--s3-dir", str(site.data_dir / "s3"))
    commands = {
        LAMBDA: _module("lambda_.endpoint", ports[LAMBDA], *template),
        AWS: _module(
            "emulators.aws_emulator",
            ports[AWS],
            *template,
            *s3,
            "--lambda-endpoint",
            _url(ports[LAMBDA]),
        ),
        SAMPLES: _module("samples.services", ports[SAMPLES]),
        WEB: web_command(ports[WEB], site.repository),
    }
    descriptions = {
        LAMBDA: "functions/*/handler.py",
        AWS: "moto: Step Functions, S3, SQS, EventBridge, Secrets Manager",
        SAMPLES: "what the sample agent calls",
        WEB: _url(ports[WEB]),
    }
    return [
        ManagedProcess(
            name,
            descriptions[name],
            command,
            ports[name],
            _log(site, name),
            environment,
            ready_path="/ready" if name == LAMBDA else None,
        )
        for name, command in commands.items()
    ]


def _log(site: StackConfig, name: str) -> Path:
    return site.data_dir / "logs" / f"{name}.log"


def _module(name: str, port: int, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"runyard_dev.{name}", "--port", str(port), *arguments)


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"
