"""`runyard console`: the web console in a browser, signed in."""

import html
import os
import tempfile
import time
import webbrowser
from pathlib import Path
from urllib.parse import quote

import click

from runyard.cli.errors import note
from runyard.cli.session import Session, api_command

_SECONDS_TO_OPEN = 10.0


@click.command()
@click.option("--print-url", is_flag=True, help="Print the URL, without the key, and open nothing.")
@api_command
def console(session: Session, *, print_url: bool) -> None:
    """Open the web console of the service in a browser, signed in with the access key."""
    url = f"{session.configuration.url}/console/"
    if print_url:
        print(url)
        return
    session.get("/console/")  # Exit with 6 if the service has no console.
    key = session.configuration.access_key.reveal()
    page = _redirect_page(f"{url}#key={quote(key, safe='')}")
    try:
        if not webbrowser.open(page.as_uri()):
            raise click.ClickException(f"there is no browser; open {url} on another machine")
        note(f"{url} opens in the browser")
        time.sleep(_SECONDS_TO_OPEN)  # The browser reads the page after this command returns.
    finally:
        page.unlink(missing_ok=True)


def _redirect_page(url: str) -> Path:
    """Return a file that sends the browser to the URL; only this user can read it.

    Other users of the machine can see the arguments of the browser's process, so the key must not
    be in them.
    """
    handle, name = tempfile.mkstemp(prefix="runyard-", suffix=".html")  # Mode 0600.
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">\n')
    return Path(name)
