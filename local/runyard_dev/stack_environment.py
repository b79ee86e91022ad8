"""The environment of the local stack's processes.

Variables of the user take precedence over those of the local stack, and these over the template's.
The user cannot set the endpoints: they make the stack local.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.template.template import LocalTemplate

DUMMY_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}

# A proxy cannot reach an emulator on loopback.
_NO_PROXY = "127.0.0.1,localhost"


def environment_for(
    template: LocalTemplate,
    user: Mapping[str, str],
    *,
    dynamodb_endpoint: str,
    aws_endpoint: str,
    lambda_endpoint: str,
    samples_port: int,
    agents_dir: Path,
) -> dict[str, str]:
    """Return the environment of a process of the stack, for boto3 clients and `Settings`."""
    samples = f"{HOST}:{samples_port}"
    different_here = {
        # On one machine a query costs nothing, and a reader sees a write within milliseconds.
        "POLL_MIN_MS": "10",
        "POLL_MAX_MS": "100",
        "ENDPOINT": "api",  # A single endpoint serves all requests,
        "STREAM_URL": "",  # and streams.
        "AGENTS_OBJECT_KEY": "",  # Read the files directly: a change takes effect at once.
        # On AWS the platform handles CORS; here the application does. `web.py` rejects all
        # origins that are not on this machine.
        "CORS_ORIGIN": "*",
        # The only user may run a load test.
        "KEY_REQUESTS_PER_SECOND": "0",
        "SOURCE_REJECTIONS_PER_SECOND": "0",
        "KEY_MAX_STREAMS": "0",
        "PROJECT_MAX_ACTIVE_RUNS": "0",
        # Without Lambda's limit: 128 MiB of files, and 1 MiB for the other parts.
        "MAX_BODY_BYTES": str(129 * 1024 * 1024),
        "PRELOAD_PROVIDERS": "",  # The import would delay the start of the stack.
        "AGENT_VARIABLES": json.dumps({"CRM_URL": f"http://{samples}"}),
        "HTTP_ALLOWED_PRIVATE_HOSTS": samples,
        "PYTHONUNBUFFERED": "1",
    }
    environment = template.environment() | different_here | dict(user)
    environment["AGENTS_DIR"] = str(agents_dir)
    environment |= {
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_endpoint,
        "AWS_ENDPOINT_URL_SFN": aws_endpoint,
        "AWS_ENDPOINT_URL_S3": aws_endpoint,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws_endpoint,
        "AWS_ENDPOINT_URL_EVENTBRIDGE": aws_endpoint,
        "AWS_ENDPOINT_URL_SQS": aws_endpoint,
        "AWS_ENDPOINT_URL_LAMBDA": lambda_endpoint,
        "AWS_REGION": template.region,
        "AWS_DEFAULT_REGION": template.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if not user.get("AWS_ACCESS_KEY_ID") and not user.get("AWS_PROFILE"):
        # If the user has AWS credentials, they stay: a Bedrock model is called with them.
        environment |= DUMMY_CREDENTIALS
    return environment | _without_proxy(user)


def _without_proxy(user: Mapping[str, str]) -> dict[str, str]:
    given = {name: user.get(name) for name in ("NO_PROXY", "no_proxy")}
    return {name: f"{text},{_NO_PROXY}" if text else _NO_PROXY for name, text in given.items()}
