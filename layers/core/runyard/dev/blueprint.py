"""Which parts the local stack has, by which commands they run, and on which ports.

The order is the order of stopping, backwards: what others depend on starts first and ends last.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runyard.dev import dynoxide, local_environment
from runyard.dev.loopback_http import HOST
from runyard.dev.part import Part, free_ports
from runyard.dev.template import LocalTemplate, read_template

DYNAMODB, LAMBDA, AWS, SAMPLES, WEB = "dynamodb", "lambda", "aws", "samples", "web"


@dataclass(frozen=True)
class Blueprint:
    """A stack that is planned and not yet started."""

    template: LocalTemplate
    environment: dict[str, str]
    parts: dict[str, Part]
    port: int


def draw(
    *,
    repository: Path,
    data_dir: Path,
    agents_dir: Path,
    port: int,
    user: Mapping[str, str],
    web: bool,
    report: Callable[[str], None],
) -> Blueprint:
    """Choose ports, find the DynamoDB emulator, write down environment and commands."""
    dynamodb_port, aws_port, lambda_port, samples_port, free = free_ports(5)
    port = port or free
    template_path = repository / "template.yaml"
    template = read_template(template_path, region=user.get("AWS_REGION") or "us-east-1")
    dynamodb = dynoxide.locate(dynamodb_port, data_dir, report)
    environment = local_environment.compose(
        template,
        user,
        dynamodb_endpoint=dynamodb.endpoint or _url(dynamodb_port),
        aws_endpoint=_url(aws_port),
        lambda_endpoint=_url(lambda_port),
        samples_port=samples_port,
        agents_dir=agents_dir,
    )
    logs = data_dir / "logs"

    def part(
        name: str, description: str, port: int, command: tuple[str, ...], ready: str | None = None
    ) -> Part:
        return Part(name, description, command, port, logs / f"{name}.log", environment, ready)

    common = ("--template", str(template_path), "--region", template.region)
    parts = [
        part(LAMBDA, "runs functions/*/handler.py", lambda_port,
             _module("lambda_endpoint", lambda_port, *common), "/ready"),
        part(AWS, "moto: Step Functions, S3, Secrets Manager", aws_port,
             _module("aws_emulator", aws_port, *common, "--lambda-endpoint", _url(lambda_port),
                     "--s3-dir", str(data_dir / "s3"))),
        part(SAMPLES, "what the sample agent calls", samples_port,
             _module("sample_services", samples_port)),
    ]  # fmt: skip
    if dynamodb.endpoint is None:
        text = f"{dynamodb.description}; {dynamodb.note}" if dynamodb.note else dynamodb.description
        emulator = part(DYNAMODB, text, dynamodb_port, dynamodb.command)
        emulator.environment = {**os.environ, **dynamodb.environment}
        parts.insert(0, emulator)
    if web:
        parts.append(part(WEB, _url(port), port, web_command(port)))
    return Blueprint(template, environment, {each.name: each for each in parts}, port)


def web_command(port: int) -> tuple[str, ...]:
    """The command of the web server."""
    return (
        *(sys.executable, "-m", "uvicorn", "--factory", "runyard.web.app:create_app"),
        *("--host", HOST, "--port", str(port), "--no-access-log"),
        # Open streams would otherwise hold up Ctrl-C for as long as their clients listen.
        *("--timeout-graceful-shutdown", "1"),
    )


def _module(name: str, port: int, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"runyard.dev.{name}", "--port", str(port), *arguments)


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"
