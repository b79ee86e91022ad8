"""`runyard vendor`: copy the installed service into a project."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runyard.cli.extras import require_extra

if TYPE_CHECKING:
    from runyard.project.vendor import Changes


@click.command()
@click.option("--force", is_flag=True, help="Discard changes of the copied files.")
def vendor(*, force: bool) -> None:
    """Copy the installed runyard-service into the project of the current folder.

    Write its functions, layers and state machines to vendor/runyard, and its resources to
    template.yaml. Your own entries of template.yaml stay. Files that an older version had are
    removed. Print each change. Write nothing if a copied file was edited, unless --force is set.
    """
    require_extra("admin")
    from runyard.project.errors import ProjectError
    from runyard.project.service_files import installed_service
    from runyard.project.vendor import vendor as write

    try:
        _print(write(Path(), installed_service(), force=force))
    except (ProjectError, OSError) as error:
        raise click.ClickException(str(error)) from None


def _print(changes: "Changes") -> None:
    lists = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    for kind, names in lists.items():
        for name in names:
            click.echo(f"{kind:7}  {name}")
    before = f"{changes.before} -> " if changes.before not in ("", changes.after) else ""
    counts = ", ".join(f"{len(names)} {kind}" for kind, names in lists.items() if names)
    click.echo(f"runyard-service {before}{changes.after}: {counts or 'no changes'}", err=True)
