"""`runyard login`, `profiles` and `whoami`."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from runyard.cli.admin.parameters import NAME
from runyard.cli.errors import exit_codes, note
from runyard.cli.output.escape import escape
from runyard.cli.session import Session, api_command, choose_mode, output_options

DEFAULT_PROFILE = "default"


@click.command()
@click.option(
    "--profile",
    "name",
    type=NAME,
    default=DEFAULT_PROFILE,
    show_default=True,
    help="The name of the profile.",
)
@click.option("--url", metavar="URL", help="The URL of the service. Default: asked")
@click.option("--project", metavar="NAME", help="The project, with an organization's key.")
@click.option(
    "--key-command",
    metavar="COMMAND",
    help="Store no key: this command prints it each time, such as a password manager's.",
)
def login(*, name: str, url: str | None, project: str | None, key_command: str | None) -> None:
    """Store the URL and the access key of a service as a profile.

    The command asks for the key without an echo, or reads it from standard input. The key is
    checked, then stored in the system's keyring if the package keyring is installed, or else in
    credentials.toml, which only you can read.
    """
    with exit_codes():
        from runyard.cli.profiles import storage
        from runyard.client.configuration import load_configuration, read_profiles

        is_first = not read_profiles()
        url = url or _ask_url()
        key = None if key_command else _read_key()
        if key_command:
            storage.save_profile(name, {"url": url, "project": project, "key_command": key_command})
            found = load_configuration(profile=name, environment=_environment())
            key = found.access_key.reveal()
        session = Session("terminal", {"url": url, "access_key": key, "project": project})
        try:
            identity = session.get("/v1/me").json
        finally:
            session.close()
        if not key_command:
            assert key is not None
            storage.save_profile(name, {"url": url, "project": project})
            note(f"The access key is stored in: {storage.save_key(name, key)}")
        if is_first:
            storage.set_default(name)
        note(f"Logged in to {url} as profile {name}: {_summary(identity)}")


def _environment() -> Mapping[str, str]:
    """Return the environment without values that would win over the profile."""
    import os

    return {name: text for name, text in os.environ.items() if not name.startswith("RUNYARD_")}


def _ask_url() -> str:
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: use --url")
    url: str = click.prompt("URL of the service", err=True)
    return url


def _read_key() -> str:
    if not sys.stdin.isatty():
        key = sys.stdin.readline().strip()
        if not key:
            raise click.UsageError("standard input has no access key")
        return key
    prompted: str = click.prompt("Access key", hide_input=True, err=True)
    return prompted.strip()


def _summary(identity: Mapping[str, Any]) -> str:
    data = identity["data"]
    projects = ", ".join(data.get("projects") or ["all"])
    return escape(f"organization {data['org_id']}, projects: {projects}")


@click.group(invoke_without_command=True)
@click.pass_context
def profiles(context: click.Context) -> None:
    """List the profiles; choose the default one, or remove one."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@profiles.command("list")
@output_options
def list_(*, is_json: bool = False, is_quiet: bool = False) -> None:
    """List the profiles. The default one has a star."""
    with exit_codes():
        from runyard.cli.profiles.storage import default_profile
        from runyard.client.configuration import read_profiles

        session = Session(choose_mode(is_json=is_json, is_quiet=is_quiet), {})
        found = read_profiles()
        default = default_profile()
        values = [
            {"name": each.name, "url": each.url, "project": each.project} for each in found.values()
        ]
        session.show_values(
            values,
            list(found),
            lambda: session.table(
                ("", "NAME", "URL", "PROJECT"),
                [
                    ("*" if each.name == default else "", each.name, each.url, each.project or "")
                    for each in found.values()
                ],
            ),
        )


@profiles.command()
@click.argument("name")
def use(*, name: str) -> None:
    """Make a profile the default."""
    with exit_codes():
        from runyard.cli.profiles import storage

        _require(name)
        storage.set_default(name)
        note(f"{name} is the default profile")


@profiles.command()
@click.argument("name")
def remove(*, name: str) -> None:
    """Remove a profile and its stored access key. The key itself stays valid."""
    with exit_codes():
        from runyard.cli.profiles import storage

        _require(name)
        storage.remove_profile(name)
        note(f"{name} is removed")


def _require(name: str) -> None:
    from runyard.client.configuration import read_profiles

    if name not in read_profiles():
        raise click.UsageError(f"there is no profile {name}. `runyard profiles` lists them")


@click.command()
@api_command
def whoami(session: Session) -> None:
    """Show who you are for the service, and where each value of the connection is from."""
    found = session.configuration
    sources = found.sources
    connection = {
        "url": f"{found.url}  (from {_source_name(sources['url'])})",
        "access key": f"from {_source_name(sources['access_key'])}",
        "project": f"{found.project}  (from {_source_name(sources['project'])})"
        if found.project
        else None,
        "profile": found.profile,
    }
    if session.mode in ("terminal", "pipe"):
        session.fields(connection)  # Also if the service rejects the key.
    answer = session.get("/v1/me")
    identity = answer.json["data"]
    session.show(answer, [identity["key_id"]], lambda: session.fields(identity))


def _source_name(source: str) -> str:
    return "an option" if source == "argument" else source
