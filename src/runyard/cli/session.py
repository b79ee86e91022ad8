"""What each command that uses the API gets: a connection, and the output that was chosen."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from runyard.cli.errors import exit_codes
from runyard.cli.output.escape import compact_json, escape, escape_json

if TYPE_CHECKING:
    from runyard import Runyard
    from runyard.client.configuration import Configuration

Mode = Literal["terminal", "pipe", "json", "quiet"]
Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Answer:
    """A response of the API: its bytes, and its JSON."""

    body: bytes

    @cached_property
    def json(self) -> Any:
        """Return the JSON of the body, None if it is empty."""
        return json.loads(self.body) if self.body else None


class Session:
    """The connection of a command and its output."""

    def __init__(self, mode: Mode, chosen: Mapping[str, Any]) -> None:
        """Store the output and the arguments of `load_configuration`."""
        self.mode = mode
        self._chosen = chosen
        self._stack = ExitStack()

    @cached_property
    def configuration(self) -> "Configuration":
        """Return where the service is. Raise ConfigurationError."""
        from runyard.client.configuration import load_configuration

        return load_configuration(**self._chosen)

    @cached_property
    def client(self) -> "Runyard":
        """Return the client; it is closed when the command ends."""
        from runyard import Runyard

        found = self.configuration
        client = Runyard(url=found.url, access_key=found.access_key.reveal(), project=found.project)
        return self._stack.enter_context(client)

    def send(self, method: Method, path: str, **options: Any) -> Answer:
        """Send a request with the client's retries and return the response."""
        from runyard.client.core.requests import exchange, make_request

        response = self.client.runs.transport.run(exchange(make_request(method, path, **options)))
        return Answer(response.body)

    def get(self, path: str, **query: Any) -> Answer:
        """Read from the API."""
        return self.send("GET", path, query=query)

    def upload(self, path: Path) -> str:
        """Upload a file and return its id."""
        from runyard.client.core.uploads import upload

        return self.client.runs.transport.run(upload(path)).id

    def close(self) -> None:
        """Close the client."""
        self._stack.close()

    # --- Output -----------------------------------------------------------------------------------

    def show(self, answer: Answer, ids: Iterable[str], draw: Callable[[], None]) -> None:
        """Print the bytes of the response, or the ids, or what `draw` prints for people."""
        if self.mode == "json":
            print_json_bytes(answer.body)
        elif self.mode == "quiet":
            for each in ids:
                print(escape(each))
        else:
            draw()

    def show_values(self, value: Any, ids: Iterable[str], draw: Callable[[], None]) -> None:
        """Print what is not from the API: as JSON, or the ids, or what `draw` prints."""
        self.show(Answer(json.dumps(value, ensure_ascii=False).encode()), ids, draw)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows: aligned with a header on a terminal, separated by tabs in a pipe."""
        if self.mode == "pipe":
            self.lines(rows)
            return
        from runyard.cli.output.tables import print_table

        print_table(sys.stdout, columns, list(rows))

    def lines(self, rows: Iterable[Sequence[str]]) -> None:
        """Print each row as one line, separated by tabs, at once."""
        for row in rows:
            print("\t".join(map(escape, row)), flush=True)

    def fields(self, values: Mapping[str, Any]) -> None:
        """Print names and values, one a line. A value that is None is left out."""
        rows = [(name, _as_text(value)) for name, value in values.items() if value is not None]
        if self.mode == "pipe":
            self.table((), rows)
            return
        from runyard.cli.output.tables import print_fields

        print_fields(sys.stdout, rows)


def api_path(*parts: str, base: str = "/v1") -> str:
    """Return the path of a resource of the API, such as ("runs", id, "events").

    An id of the command line stays one segment of the path. Raise UsageError for an empty id.
    """
    from runyard.client.core.requests import segment

    try:
        return "/".join([base, *map(segment, parts)])
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def print_json_bytes(body: bytes) -> None:
    """Print a JSON body. Characters that would control a terminal become escapes of JSON."""
    print(escape_json(body.decode()))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else compact_json(value)


def choose_mode(*, is_json: bool, is_quiet: bool) -> Mode:
    """Return the kind of output that the options and standard output ask for."""
    if is_json and is_quiet:
        raise click.UsageError("use only one of --json and --quiet")
    if is_json:
        return "json"
    if is_quiet:
        return "quiet"
    return "terminal" if sys.stdout.isatty() else "pipe"


def _complete_profile(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of profiles for the completion of a shell."""
    from runyard.client.configuration import ConfigurationError, read_profiles

    del ctx, param
    try:
        return [name for name in read_profiles() if name.startswith(incomplete)]
    except ConfigurationError:
        return []


def connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--profile`, `--url` and `--project`."""
    for option in (
        click.option("--project", metavar="NAME", help="The project, with an organization's key."),
        click.option("--url", metavar="URL", help="The URL of the service."),
        click.option(
            "--profile",
            metavar="NAME",
            shell_complete=_complete_profile,
            help="Use this profile of the configuration.",
        ),
    ):
        function = option(function)
    return function


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` and `--quiet`."""
    for option in (
        click.option("--quiet", "-q", "is_quiet", is_flag=True, help="Print only ids."),
        click.option("--json", "is_json", is_flag=True, help="Print what the API returns."),
    ):
        function = option(function)
    return function


def api_command(function: Callable[..., None]) -> Callable[..., None]:
    """Pass a Session as first argument; add the options of the connection and of the output."""

    @connection_options
    @output_options
    @functools.wraps(function)
    def command(
        *,
        profile: str | None,
        url: str | None,
        project: str | None,
        is_json: bool,
        is_quiet: bool,
        **options: Any,
    ) -> None:
        connection = {"profile": profile, "url": url, "project": project}
        session = Session(choose_mode(is_json=is_json, is_quiet=is_quiet), connection)
        with exit_codes():
            try:
                function(session, **options)
            finally:
                session.close()

    return command
