"""Write the files that `sam local` needs to reach the running local stack.

The files are next to the built template. `env.json` has the variables of each function, as the
stack has them. `local.yaml` is the built template with the addresses of the emulators among its
variables, because `sam local` sets only variables that a template names. The agents are published
to the bucket of the stack. The ports change at each start of the stack, and with them the files.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from runyard_dev.clients import ENDPOINTS, client
from runyard_dev.data_dir import STATE_FILE, chosen_data_dir, read_state
from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.errors import LocalStackError
from runyard_dev.template.template import LocalTemplate, read_template
from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.application.maintenance.publish_agents import publish_agents
from runyard_service.domain.errors import RunyardError
from runyard_service.settings import Settings

BUILD = Path(".aws-sam/build")
# The functions take the agents from the bucket, as they do on AWS, not from the stack's folder.
_AS_ON_AWS = frozenset({"AGENTS_OBJECT_KEY", "AGENTS_DIR"})


def environments(
    template: LocalTemplate, stack: Mapping[str, str], host: str
) -> dict[str, dict[str, str]]:
    """Return the variables of each function. `host` is this machine's name in a container."""
    found = {}
    for function, described in template.functions.items():
        own = {
            name: stack[name] if name in stack and name not in _AS_ON_AWS else value
            for name, value in described.environment.items()
        }
        own |= {name: stack[name] for name in ENDPOINTS}
        found[function] = {name: value.replace(HOST, host) for name, value in own.items()}
    return found


def with_endpoints(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template with the emulators' addresses in the variables of each function."""
    functions = document["Globals"]["Function"]
    variables = functions["Environment"]["Variables"] | dict.fromkeys(ENDPOINTS, "")
    changed = {**functions, "Environment": {"Variables": variables}}
    return {**document, "Globals": {**document["Globals"], "Function": changed}}


def write_sam_files(host: str) -> str:
    """Write both files, publish the agents, and return a line that names all three.

    `host` is this machine's name in a container. Raise LocalStackError if nothing is built or
    no stack was started.
    """
    state = chosen_data_dir() / STATE_FILE
    built = BUILD / "template.yaml"
    for needed, command in ((state, "make dev"), (built, "make build")):
        if not needed.exists():
            raise LocalStackError(f"{needed} does not exist; {command} creates it")
    stack = read_state(chosen_data_dir())
    template = read_template(Path("template.yaml"), region=stack["AWS_REGION"])
    variables = json.dumps(environments(template, stack, host), indent=1)
    (BUILD / "env.json").write_text(variables, encoding="utf-8")
    local = with_endpoints(yaml.safe_load(built.read_text(encoding="utf-8")))
    (BUILD / "local.yaml").write_text(yaml.safe_dump(local, sort_keys=False), encoding="utf-8")
    settings = Settings.from_environment(stack)
    bundle = AgentBundle(Bucket(settings.bucket, lambda: client("s3", stack)))
    try:
        publish_agents(AgentDirectory(Path(settings.agents_dir)), bundle, settings)
    except (RunyardError, ClientError, BotoCoreError) as error:
        raise LocalStackError(f"{error}; is the stack running?") from None
    return f"{BUILD / 'local.yaml'}, {BUILD / 'env.json'}; agents published to {bundle.address}"
