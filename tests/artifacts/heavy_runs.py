"""Runs that take as much of a worker's memory as the limits allow, with a model on loopback.

Each is recorded as the API records it, and executed by the built function.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.built_functions import BuiltFunction
from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.models.attachments import MAX_BINARY_TOGETHER, MAX_IMAGE_BYTES
from runyard_service.agents.registry import Registry
from runyard_service.domain.runs import Run
from tests.support.run_factory import create_run
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.servers.openai_server import ChatResponse, ChatToolCall, OpenAIServer

PROJECT = "p"
_MB = 1024 * 1024
_DEFAULT_RESULT_BYTES = 256 * 1024
LARGEST_RESULT_BYTES = 5 * _MB
# An endpoint accepts 6 MB, with all that is around the input.
LARGEST_INPUT_BYTES = 5 * _MB
_AGENT = """
key: heavy
version: "1"
instructions: Follow the instructions.
route: heavy
input_schema: {{ type: object }}
tools:
  - kind: http
    name: fetch
    description: Fetches the given number of bytes of text.
    url: {url}/{{size}}
    max_response_bytes: {most}
    effect: none
    parameters:
      type: object
      properties: {{ size: {{ type: integer }} }}
      required: [size]
"""
_LINE = "{:08} The quick brown fox jumps over the lazy dog, and no person has asked it to do so. "
_DONE = ChatResponse(text=["Done."])


def text(size: int) -> str:
    """Return `size` bytes of UTF-8, no two lines the same.

    One character is an emoji, for which Python uses four bytes for each of the others too.
    """
    end = "\N{WAVING HAND SIGN}"
    lines = "".join(map(_LINE.format, range(size // len(_LINE) + 1)))
    return lines[: size - len(end.encode())] + end


@dataclass(frozen=True)
class Heavy:
    """The agent, its model, and where its tool fetches from."""

    stores: Stores
    agent: Snapshot
    model: OpenAIServer
    pages: LoopbackServer

    def run(self, *responses: ChatResponse, **fields: Any) -> Run:
        """Create a run, in which the model sends these responses."""
        self.model.received.clear()
        self.model.responses.extend(responses)
        return create_run(self.stores, self.agent, project_id=PROJECT, **fields)

    def file(self, name: str, head: bytes, size: int) -> str:
        """Return the id of a new file with this start."""
        body = io.BytesIO(head + bytes(size - len(head)))
        return self.stores.files.save(PROJECT, NewFile(name, None, body)).id


@contextmanager
def heavy(stores: Stores, folder: Path) -> Iterator[Heavy]:
    """The agent, whose files are written into `folder`, and its servers."""
    with OpenAIServer() as model, LoopbackServer(_page) as pages:
        route = {"model": "openai:some-model", "base_url": model.base_url}
        (folder / "routes.yaml").write_text(json.dumps({"heavy": route}), encoding="utf-8")
        agent = _AGENT.format(url=pages.url, most=LARGEST_RESULT_BYTES)
        (folder / "heavy.yaml").write_text(agent, encoding="utf-8")
        yield Heavy(stores, Registry(AgentDirectory(folder)).agent("heavy"), model, pages)


def _page(received: Received, exchange: Exchange) -> None:
    body = text(int(received.path.strip("/"))).encode()
    exchange.send(200, body, {"content-type": "text/plain; charset=utf-8"})


def _calls(*sizes: int) -> ChatResponse:
    calls = [
        ChatToolCall("fetch", (json.dumps({"size": size}),), f"call_{n}")
        for n, size in enumerate(sizes)
    ]
    return ChatResponse(tool_calls=calls)


def response(deltas: int) -> ChatResponse:
    """A response in this number of deltas."""
    return ChatResponse(text=["word "] * deltas)


# The largest at the end, where the process has whatever the others have left.
CASES: Mapping[str, Callable[[Heavy], Run]] = {
    "a short input and a short answer": lambda heavy: heavy.run(_DONE),
    "a response of 10,000 deltas": lambda heavy: heavy.run(response(10_000)),
    "a conversation of 1 MB": lambda heavy: heavy.run(*[_calls(_DEFAULT_RESULT_BYTES)] * 4, _DONE),
    "ten results of 256 KB at once": lambda heavy: heavy.run(
        _calls(*[_DEFAULT_RESULT_BYTES] * 10), _DONE
    ),
    "an image of 5 MB": lambda heavy: heavy.run(
        _DONE, file_ids=(heavy.file("a.png", b"\x89PNG\r\n\x1a\n", MAX_IMAGE_BYTES),)
    ),
    "a result of 5 MB": lambda heavy: heavy.run(_calls(LARGEST_RESULT_BYTES), _DONE),
    "an input of 5 MB": lambda heavy: heavy.run(_DONE, input={"x": text(LARGEST_INPUT_BYTES)}),
    "a PDF of 20 MB": lambda heavy: heavy.run(
        _DONE, file_ids=(heavy.file("a.pdf", b"%PDF-1.7 ", MAX_BINARY_TOGETHER),)
    ),
}


def turn(run_id: str) -> dict[str, Any]:
    """What run_step is asked with, to execute this run."""
    path = Path("events/run_step/advance.json")
    asked: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return asked | {"run_id": run_id, "execution": run_id}


def execute(heavy: Heavy, worker: BuiltFunction, run: Run) -> None:
    """Execute the run with one invocation, and check that it used all responses and completed."""
    answer = worker.invoke(turn(run.id)).payload
    ended = heavy.stores.runs.get(run.id)
    assert ended is not None, answer
    assert (ended.status, list(heavy.model.responses)) == ("completed", []), answer
