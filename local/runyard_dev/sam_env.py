"""`python -m runyard_dev.sam_env`: what `sam local` needs to reach the running local stack.

Beside the built template go `env.json`, with each function's variables as the stack has them, and
`local.yaml`, the same template with the emulators' addresses among its variables: `sam local` sets
only those that a template names. The agents are published to the stack's bucket. To be run again
after each start of the stack, whose ports are others then.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from runyard_dev.clients import ENDPOINTS, client
from runyard_dev.data_dir import chosen_data_dir
from runyard_dev.dev_stack import NOTES_FILE
from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.template.template import LocalTemplate, read_template
from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.agents.definitions.source import FolderOfAgents
from runyard_service.application.maintenance.publish_agents import publish_agents
from runyard_service.domain.errors import RunyardError
from runyard_service.settings import Settings

BUILD = Path(".aws-sam/build")
# The functions take the agents from the bucket, as they do on AWS, not from the stack's folder.
_AS_ON_AWS = frozenset({"AGENTS_OBJECT_KEY", "AGENTS_DIR"})


def environments(
    template: LocalTemplate, stack: Mapping[str, str], host: str
) -> dict[str, dict[str, str]]:
    """Each function's variables; `host` is what a container calls this machine."""
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
    """The template with the emulators' addresses among the variables of every function."""
    functions = document["Globals"]["Function"]
    variables = functions["Environment"]["Variables"] | dict.fromkeys(ENDPOINTS, "")
    changed = {**functions, "Environment": {"Variables": variables}}
    return {**document, "Globals": {**document["Globals"], "Function": changed}}


def main() -> int:
    """Write both files, publish the agents; 1 where nothing is built or no stack was started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--host", default="host.docker.internal", help="what a container calls this machine"
    )
    arguments = parser.parse_args()
    notes = chosen_data_dir() / NOTES_FILE
    built = BUILD / "template.yaml"
    for needed, command in ((notes, "make dev"), (built, "make build")):
        if not needed.exists():
            print(f"There is no {needed}: {command} makes it.", file=sys.stderr)
            return 1
    stack: dict[str, str] = json.loads(notes.read_text(encoding="utf-8"))
    template = read_template(Path("template.yaml"), region=stack["AWS_REGION"])
    variables = json.dumps(environments(template, stack, arguments.host), indent=1)
    (BUILD / "env.json").write_text(variables, encoding="utf-8")
    local = with_endpoints(yaml.safe_load(built.read_text(encoding="utf-8")))
    (BUILD / "local.yaml").write_text(yaml.safe_dump(local, sort_keys=False), encoding="utf-8")
    settings = Settings.from_environment(stack)
    bundle = AgentBundle(Bucket(settings.bucket, lambda: client("s3", stack)))
    try:
        publish_agents(FolderOfAgents(Path(settings.agents_dir)), bundle, settings.named_agents)
    except (RunyardError, ClientError, BotoCoreError) as error:
        print(f"runyard_dev.sam_env: {error}; is the stack running?", file=sys.stderr)
        return 1
    print(f"{BUILD / 'local.yaml'}, {BUILD / 'env.json'}; agents published to {bundle.address}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
