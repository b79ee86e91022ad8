"""`python -m runyard.cli.agents check | push [FOLDER]`: agents' files, without a deploy.

`check` says what is wrong with them, by file, line and field. `push` checks them and publishes them
to a deployed stack (`--stack`, with AWS credentials as boto3 finds them) or to its bucket, where
the doors find them a few seconds later. FOLDER is `AGENTS_DIR`, or else `agents`.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from runyard.cli.console import escape_what_cannot_be_encoded
from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.agents.definitions.loader import AgentSet, read_agents
from runyard_service.agents.definitions.source import FolderOfAgents
from runyard_service.agents.registry import personas
from runyard_service.application.maintenance.publish_agents import publish_agents
from runyard_service.domain.errors import DefinitionError, RunyardError
from runyard_service.settings import Settings

BUCKET_OUTPUT = "BucketName"
# The stack's parameters that name agents, and the settings that they become.
NAMING_PARAMETERS = {"DefaultAgent": "DEFAULT_AGENT", "DefaultPersona": "DEFAULT_PERSONA"}


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code is 1 where it failed, 2 where its words are off."""
    settings = Settings.from_environment()
    arguments = _parser(settings.agents_dir).parse_args(words)
    files = FolderOfAgents(arguments.folder)
    escape_what_cannot_be_encoded()
    try:
        if arguments.command == "check":
            _say(_lines(read_agents(files.texts(), settings.named_agents)))
            return 0
        bucket, named = (
            _stack(arguments.stack)
            if arguments.stack
            else (arguments.bucket, settings.named_agents)
        )
        bundle = AgentBundle(Bucket(bucket, lambda: boto3.client("s3")))
        _say(_lines(publish_agents(files, bundle, named)))
        _say([f"published to {bundle.address}"])
    except DefinitionError as error:
        print(error, file=sys.stderr)
        return 1
    except (RunyardError, ClientError, BotoCoreError) as error:
        print(f"runyard.cli.agents: {error}", file=sys.stderr)
        return 1
    return 0


def _parser(default_folder: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="runyard.cli.agents", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say what is wrong with the files")
    push = commands.add_parser("push", help="check the files and publish them")
    for command in (check, push):
        command.add_argument("folder", nargs="?", type=Path, default=Path(default_folder))
    place = push.add_mutually_exclusive_group(required=True)
    place.add_argument("--stack", help="the deployed stack that is to have them")
    place.add_argument("--bucket", help="the bucket of such a stack")
    return parser


def _stack(name: str) -> tuple[str, dict[str, str]]:
    """The stack's bucket, and the agents that it names."""
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    outputs = {output.get("OutputKey"): output.get("OutputValue") for output in stack["Outputs"]}
    given = {
        parameter.get("ParameterKey", ""): parameter.get("ParameterValue", "")
        for parameter in stack["Parameters"]
    }
    named = {setting: given[parameter] for parameter, setting in NAMING_PARAMETERS.items()}
    return str(outputs[BUCKET_OUTPUT]), named


def _lines(agents: AgentSet) -> list[str]:
    """Each version of each agent with its route and model, in columns."""
    rows = [
        (one.snapshot.name, one.snapshot.route_id, one.snapshot.route.model)
        for one in personas(agents)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


if __name__ == "__main__":
    sys.exit(main())
