"""`runyard dev`: the local stack."""

import os
from pathlib import Path

import click

from runyard.cli.extras import require_extra, service_errors


@click.group(invoke_without_command=True, short_help="Run the local stack, on emulators.")
@click.option(
    "--port",
    envvar="PORT",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    show_envvar=True,
    help="The port of the API. 0: a free port",
)
@click.option(
    "--data-dir",
    envvar="DATA_DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".runyard"),
    show_default=True,
    show_envvar=True,
    help="The folder of the data. It survives a restart.",
)
@click.option(
    "--agents-dir",
    envvar="AGENTS_DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    show_envvar=True,
    help="The folder of the agents. Default: agents in the current folder, or else the samples",
)
@click.option(
    "--access-key",
    envvar="ACCESS_KEY",
    show_envvar=True,
    help="The access key that the API accepts. Default: the one in access-key in --data-dir",
)
@click.option(
    "--sweep-seconds",
    envvar="SWEEP_EVERY_SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    show_envvar=True,
    help="The interval of the sweep, which restarts orphaned runs.",
)
@click.option(
    "--dynamodb-endpoint",
    envvar="DYNAMODB_ENDPOINT",
    metavar="URL",
    show_envvar=True,
    help="Use this DynamoDB emulator instead of starting one.",
)
@click.option("--with-parent", is_flag=True, help="Stop when the parent process ends.")
@click.pass_context
def dev(
    context: click.Context,
    *,
    port: int,
    data_dir: Path,
    agents_dir: Path | None,
    access_key: str | None,
    sweep_seconds: float,
    dynamodb_endpoint: str | None,
    with_parent: bool,
) -> None:
    """Run the local stack: the whole service on this machine, on emulators.

    The stack runs in the foreground. Ctrl-C stops it. All other environment variables are passed
    to its processes.
    """
    require_extra("dev")
    # Other commands and processes of the stack read these variables.
    os.environ["DATA_DIR"] = str(data_dir)
    if dynamodb_endpoint:
        os.environ["DYNAMODB_ENDPOINT"] = dynamodb_endpoint
    if context.invoked_subcommand:
        return
    from runyard_dev.dev_stack import REPOSITORY
    from runyard_dev.foreground import run_in_foreground

    if agents_dir is None:
        agents_dir = Path("agents")
        if not agents_dir.is_dir():
            agents_dir = REPOSITORY / "agents"
            click.echo(
                f"agents    {Path.cwd()} has no folder agents: the sample agents run. Create a"
                " project with `runyard new NAME`, or name a folder with --agents-dir"
            )
    with service_errors():
        run_in_foreground(
            data_dir=data_dir,
            port=port,
            agents_dir=agents_dir,
            access_key=access_key,
            sweep_seconds=sweep_seconds,
            with_parent=with_parent,
        )


@dev.command("sam-env", short_help="Write the files that `sam local` needs.")
@click.option(
    "--host",
    default="host.docker.internal",
    show_default=True,
    help="The name under which a container reaches this machine.",
)
def sam_env(*, host: str) -> None:
    """Write the files that `sam local` needs to reach the running local stack.

    Run it in the repository after each start of the stack, because the ports change.
    """
    from runyard_dev.sam_env import write_sam_files

    with service_errors():
        click.echo(write_sam_files(host))
