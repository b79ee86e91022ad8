"""`runyard agents`: check and publish agents without a deployment."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runyard.cli.extras import require_extra, service_errors
from runyard.cli.parameters import exactly_one
from runyard.cli.tables import print_columns

if TYPE_CHECKING:
    from runyard_service.agents.definitions.loader import AgentSet

BUCKET_OUTPUT = "BucketName"
# Parameters of the stack that name agents, and the settings that they become.
NAMING_PARAMETERS = {"DefaultAgent": "DEFAULT_AGENT", "DefaultPersona": "DEFAULT_PERSONA"}

_folder = click.argument(
    "folder",
    type=click.Path(path_type=Path),
    envvar="AGENTS_DIR",
    default=Path("agents"),
)


@click.group()
def agents() -> None:
    """Check agent files, and publish them without a deployment.

    FOLDER is the folder of the agents. Its default is AGENTS_DIR, or `agents`. DEFAULT_AGENT and
    DEFAULT_PERSONA name agents that the folder must contain.
    """


@agents.command()
@_folder
def check(*, folder: Path) -> None:
    """Check the files in FOLDER.

    Print each agent with its route and model, or each error with its file, line and field.
    """
    require_extra("admin")
    with service_errors():
        from runyard_service.agents.definitions.loader import read_agents
        from runyard_service.agents.definitions.source import AgentDirectory
        from runyard_service.settings import Settings

        named_agents = Settings.from_environment().named_agents
        _print_agents(read_agents(AgentDirectory(folder).read(), named_agents))


@agents.command()
@_folder
@click.option("--stack", metavar="NAME", help="Publish to this deployed stack.")
@click.option("--bucket", metavar="NAME", help="Publish to the bucket of a deployed stack.")
def publish(*, folder: Path, stack: str | None, bucket: str | None) -> None:
    """Check the files in FOLDER and publish them.

    The API finds them a few seconds later. AWS credentials are those that boto3 finds. With
    --stack the parameters of the stack name the default agents.
    """
    exactly_one(stack=stack, bucket=bucket)
    require_extra("admin")
    with service_errors():
        import boto3

        from runyard_service.adapters.s3.agent_bundle import AgentBundle
        from runyard_service.adapters.s3.bucket import Bucket
        from runyard_service.agents.definitions.source import AgentDirectory
        from runyard_service.application.maintenance.publish_agents import publish_agents
        from runyard_service.settings import Settings

        named_agents = Settings.from_environment().named_agents
        if stack:
            bucket, named_agents = _stack_settings(stack)
        bundle = AgentBundle(Bucket(str(bucket), lambda: boto3.client("s3")))
        _print_agents(publish_agents(AgentDirectory(folder), bundle, named_agents))
        click.echo(f"published to {bundle.address}")


def _stack_settings(name: str) -> tuple[str, dict[str, str]]:
    """Return the bucket of the stack, and the agents that its parameters name, by setting."""
    import boto3

    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    outputs = {output.get("OutputKey"): output.get("OutputValue") for output in stack["Outputs"]}
    parameters = {
        parameter.get("ParameterKey", ""): parameter.get("ParameterValue", "")
        for parameter in stack["Parameters"]
    }
    named = {setting: parameters[parameter] for parameter, setting in NAMING_PARAMETERS.items()}
    return str(outputs[BUCKET_OUTPUT]), named


def _print_agents(agents: "AgentSet") -> None:
    """Print each version of each agent with its route and model."""
    from runyard_service.agents.registry import personas

    print_columns(
        [
            (persona.snapshot.name, persona.snapshot.route_id, persona.snapshot.route.model)
            for persona in personas(agents)
        ]
    )
