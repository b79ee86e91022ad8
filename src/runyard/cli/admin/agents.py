"""`runyard agents`: check and publish agents without a deployment, and lock their MCP tools."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runyard.cli.admin.installation import installation_options, open_account_stores
from runyard.cli.admin.parameters import exactly_one
from runyard.cli.admin.tables import print_columns
from runyard.cli.extras import require_extra, service_errors

if TYPE_CHECKING:
    from runyard_service.agents.mcp.base import McpEnvironment
    from runyard_service.application.maintenance.check_agents import CheckedAgents
    from runyard_service.settings import Settings

BUCKET_OUTPUT = "BucketName"
# Parameters of the stack that the check of agents uses, and the settings that they become.
CHECKED_PARAMETERS = {
    "AgentFunctionPrefix": "AGENT_FUNCTION_PREFIX",
    "AgentVariables": "AGENT_VARIABLES",
    "DefaultAgent": "DEFAULT_AGENT",
    "DefaultPersona": "DEFAULT_PERSONA",
    "ModelSecretPrefix": "MODEL_SECRET_PREFIX",
}

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
    DEFAULT_PERSONA name agents that the folder must contain. Without them the folder must contain
    the sample agents, or a single agent.
    """


@agents.command()
@_folder
def check(*, folder: Path) -> None:
    """Check the files in FOLDER.

    Print each agent with its route and model, or each error with its file, line and field.
    A variable that AGENT_VARIABLES does not have is a warning.
    """
    require_extra("admin")
    with service_errors():
        from runyard_service.agents.definitions.source import AgentDirectory
        from runyard_service.application.maintenance.check_agents import check_agents
        from runyard_service.settings import Settings

        files = AgentDirectory(folder)
        _print_agents(check_agents(files.read(), Settings.from_environment()))


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

        settings = Settings.from_environment()
        if stack:
            bucket, settings = _stack_settings(stack)
        bundle = AgentBundle(Bucket(str(bucket), lambda: boto3.client("s3")))
        _print_agents(publish_agents(AgentDirectory(folder), bundle, settings))
        click.echo(f"published to {bundle.address}")


@agents.command()
@_folder
@click.option("--check", "only_checks", is_flag=True, help="Write nothing; exit 1 on a change.")
def mcp_lock(*, folder: Path, only_checks: bool) -> None:
    """Record the tools of the MCP servers in FOLDER/mcp.yaml.

    Write the digest of each tool into FOLDER/mcp.lock.yaml. Print each tool that was added,
    changed or removed, with its new description. AGENT_VARIABLES and HTTP_ALLOWED_PRIVATE_HOSTS are
    those of the installation. boto3 reads the secrets with the AWS credentials that it finds.
    """
    require_extra("admin")
    with service_errors():
        from runyard_service.agents.definitions.source import AgentDirectory
        from runyard_service.agents.mcp.digests import LOCK_FILE
        from runyard_service.application.maintenance.lock_mcp_tools import lock_mcp_tools

        lock = lock_mcp_tools(AgentDirectory(folder).read(), _mcp_environment())
        for warning in lock.warnings:
            click.echo(f"warning: {warning}", err=True)
        for tool in lock.changes:
            summary = " ".join(tool.description.split())
            click.echo(f"{tool.change:7}  {tool.server}  {tool.name}  {summary}".rstrip())
        if not lock.changes:
            click.echo("No tool has changed.")
        elif only_checks:
            raise click.exceptions.Exit(1)
        else:
            (folder / LOCK_FILE).write_text(lock.text, encoding="utf-8")
            click.echo(f"written to {folder / LOCK_FILE}")


@agents.command()
@installation_options
def versions(*, stack: str | None, table: str | None, local: bool) -> None:
    """List the versions of functions that open runs use.

    A run of an agent of kind `code` needs its version until it ends or migrates: do not delete it.
    Only open runs are read.
    """
    with open_account_stores(stack=stack, table=table, local=local) as stores:
        in_use = stores.code_versions.in_use()
    if not in_use:
        click.echo("No open run uses own code.")
        return
    rows = [
        (each.function, each.version, str(each.runs), each.oldest_start, each.oldest_run)
        for each in in_use
    ]
    print_columns([("FUNCTION", "VERSION", "RUNS", "OLDEST RUN SINCE", "OLDEST RUN"), *rows])


def _mcp_environment() -> "McpEnvironment":
    """Return the configuration of this process for MCP servers."""
    import boto3

    from runyard_service.agents.mcp.base import McpEnvironment
    from runyard_service.outbound.circuit_breaker import CircuitBreakers
    from runyard_service.settings import Settings

    def read_secret(name: str) -> str:
        secret = boto3.client("secretsmanager").get_secret_value(SecretId=name)
        return str(secret["SecretString"])

    settings = Settings.from_environment()
    return McpEnvironment(
        variables=settings.agent_variables,
        private_hosts=settings.http_allowed_private_hosts,
        circuits=CircuitBreakers(),
        read_secret=read_secret,
    )


def _stack_settings(name: str) -> "tuple[str, Settings]":
    """Return the bucket of the stack, and the settings that its parameters set."""
    import boto3

    from runyard_service.settings import Settings

    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    outputs = {output.get("OutputKey"): output.get("OutputValue") for output in stack["Outputs"]}
    parameters = {
        parameter.get("ParameterKey", ""): parameter.get("ParameterValue", "")
        for parameter in stack["Parameters"]
    }
    variables = {
        setting: parameters.get(parameter, "") for parameter, setting in CHECKED_PARAMETERS.items()
    }
    return str(outputs[BUCKET_OUTPUT]), Settings.from_environment(variables)


def _print_agents(checked: "CheckedAgents") -> None:
    """Print each version of each agent with its route and model, and each warning to stderr."""
    from runyard_service.agents.registry import personas

    print_columns(
        [
            (persona.snapshot.name, persona.snapshot.route_id, persona.snapshot.route.model)
            for persona in personas(checked.agents)
        ]
    )
    for warning in checked.warnings:
        click.echo(f"warning: {warning}", err=True)
