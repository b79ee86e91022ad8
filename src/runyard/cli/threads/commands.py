"""`runyard threads`: list threads, create one, and chat in it."""

from collections.abc import Mapping
from typing import Any

import click

from runyard.cli.errors import note
from runyard.cli.session import Session, api_command, api_path
from runyard.cli.threads.chat import Chat

COLUMNS = ("ID", "TITLE", "UPDATED", "ACTIVE RUN")
_HISTORY = 20


@click.group()
def threads() -> None:
    """List threads, create one, and chat in it."""


@threads.command("list")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, metavar="N")
@click.option("--before", metavar="CURSOR", help="Continue after the last thread of a list.")
@api_command
def list_(session: Session, *, limit: int, before: str | None) -> None:
    """List threads, newest first."""
    answer = session.get("/threads/v1/threads", limit=limit, before=before)
    found = answer.json
    session.show(
        answer,
        [thread["id"] for thread in found],
        lambda: session.table(COLUMNS, map(_row, found)),
    )


def _row(thread: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        thread["id"],
        thread["title"] or "",
        thread["updated_at"],
        thread["active_run_id"] or "",
    )


@threads.command()
@click.option("--title", metavar="TEXT", help="The title of the thread.")
@api_command
def new(session: Session, *, title: str | None) -> None:
    """Create a thread and print its id."""
    answer = session.send("POST", "/threads/v1/threads", body={"title": title})
    thread_id = answer.json["id"]
    session.show(answer, [thread_id], lambda: print(thread_id))


@threads.command()
@click.argument("thread_id", metavar="THREAD", required=False)
@click.option("--persona", metavar="NAME", help="Who answers: NAME or NAME@VERSION.")
@click.option("--title", metavar="TEXT", help="The title of a new thread.")
@api_command
def chat(
    session: Session, *, thread_id: str | None, persona: str | None, title: str | None
) -> None:
    """Chat in a thread, or in a new one.

    Each line is a message. Ctrl-C stops the answer, and leaves the chat if there is none. Without a
    terminal, each line of standard input is a message.
    """
    if thread_id is None:
        created = session.send("POST", "/threads/v1/threads", body={"title": title}).json
        thread_id = str(created["id"])
        note(f"thread {thread_id}")
    else:
        _print_history(session, thread_id)
    code = Chat(session, thread_id, persona).talk()
    note(f"Continue with: runyard threads chat {thread_id}")
    raise click.exceptions.Exit(code)


def _print_history(session: Session, thread_id: str) -> None:
    """Print the last messages of the thread."""
    messages: list[Mapping[str, Any]] = []
    cursor: str | None = None
    while True:
        page = session.get(
            api_path("threads", thread_id, "messages", base="/threads/v1"), limit=100, after=cursor
        ).json
        messages += page
        if len(page) < 100:
            break
        cursor = page[-1]["id"]
    for message in messages[-_HISTORY:]:
        note(f"{'> ' if message['role'] == 'user' else '  '}{message['content']}")
