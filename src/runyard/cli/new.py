"""`runyard new`: create a project."""

from pathlib import Path

import click

from runyard.cli.extras import require_extra


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Create the folder NAME with a project that deploys Runyard and your agents.

    NAME is 1 to 40 lowercase letters, digits and hyphens. It starts the names of the stacks.
    """
    require_extra("admin")
    from runyard.project.errors import ProjectError
    from runyard.project.scaffold import new_project
    from runyard.project.service_files import installed_service

    service = installed_service()
    try:
        new_project(name, Path(), service)
    except (ProjectError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"created {name} with runyard-service {service.version}. Next:", err=True)
    click.echo(f"  cd {name}\n  runyard dev", err=True)
    click.echo(f"{name}/README.md describes the tests and the deployment.", err=True)
