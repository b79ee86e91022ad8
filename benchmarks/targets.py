"""How each server is asked for the same: create, stream, answer, replay."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from benchmarks.http_client import Connection


@dataclass(frozen=True)
class Pause:
    """A run that waits: where to follow it, and the call that answers it.

    Where the answer's own response is the stream to its end, it `is_streamed`.
    """

    stream: str
    answer: tuple[str, str, Any]
    is_streamed: bool = False


class TargetApi(ABC):
    """One server's paths and bodies."""

    ids_are_dense: bool
    delta: re.Pattern[bytes]
    """The text that each counted event contains once."""
    timestamps: re.Pattern[bytes]
    """The moment of each of those."""
    end: re.Pattern[bytes]
    """The text that a stream contains if its run has succeeded."""

    @abstractmethod
    async def run_to_end(self, connection: Connection) -> None:
        """Create a run and have its end as the answer."""

    @abstractmethod
    async def create(self, connection: Connection, case: str) -> str:
        """Create a run in the background; return the path of its stream."""

    @abstractmethod
    async def streamed_create(self, connection: Connection, case: str) -> tuple[str, str, Any]:
        """Prepare a create that is answered with the run's stream: method, path, body."""

    @abstractmethod
    async def pause(self, connection: Connection) -> Pause:
        """Create a run that asks, and return when it has."""

    @abstractmethod
    def replay_path(self, content: bytes) -> str:
        """Return the path that replays the events of a run whose stream was read."""


class RunsApi(TargetApi):
    """Runyard's Runs API."""

    ids_are_dense = True
    delta = re.compile(rb"^event: agent\.response\.delta$", re.MULTILINE)
    timestamps = re.compile(rb'"agent\.response\.delta","sequence":\d+,"timestamp":"([^"]+)"')
    end = re.compile(rb"^event: run\.completed$", re.MULTILINE)

    async def run_to_end(self, connection: Connection) -> None:
        """`POST /v1/runs`, synchronous."""
        run = await connection.call("POST", "/v1/runs", {"input": {"case": "nothing"}})
        assert run["data"]["status"] == "completed", run

    async def create(self, connection: Connection, case: str) -> str:
        """`POST /v1/runs` in the background."""
        body = {"input": {"case": case}, "background": True}
        run = await connection.call("POST", "/v1/runs", body)
        return f"/v1/runs/{run['data']['id']}/stream"

    async def streamed_create(self, _: Connection, case: str) -> tuple[str, str, Any]:
        """`POST /v1/runs` as a stream."""
        return "POST", "/v1/runs", {"input": {"case": case}, "stream": True}

    async def pause(self, connection: Connection) -> Pause:
        """A synchronous create returns the input request."""
        created = await connection.call("POST", "/v1/runs", {"input": {"case": "asking"}})
        run = created["data"]
        return Pause(f"/v1/runs/{run['id']}/stream", _answer(run))

    def replay_path(self, content: bytes) -> str:
        """The run's own stream; its first event contains its id."""
        found = re.search(rb'"data":\{"id":"([0-9a-f-]{36})"', content)
        assert found, "a stream begins with run.started"
        return f"/v1/runs/{found.group(1).decode()}/stream"

    async def answer(self, connection: Connection, path: str) -> None:
        """Answer the input request of the run of this stream."""
        run = await connection.call("GET", path.removesuffix("/stream"))
        await connection.call(*_answer(run["data"]))


def _answer(run: dict[str, Any]) -> tuple[str, str, Any]:
    request = run["input_requests"][0]
    data = {"request_id": request["id"]}
    if request["type"] == "human_feedback":
        data["feedback"] = "yes"
    else:
        data["is_approved"] = True
    return "POST", f"/v1/runs/{run['id']}/input", {"type": request["type"], "data": data}


class LangGraph(TargetApi):
    """LangGraph's server. Its graphs are in `benchmarks/langgraph`."""

    ids_are_dense = False
    delta = re.compile(rb'^data: \{"delta":', re.MULTILINE)
    timestamps = re.compile(rb'^data: \{"delta":.*"at": ?([0-9.]+)', re.MULTILINE)
    end = re.compile(rb'"done": ?true')

    async def run_to_end(self, connection: Connection) -> None:
        """`POST /runs/wait`, without a thread."""
        run = await connection.call("POST", "/runs/wait", _langgraph_body("nothing"))
        assert run["done"], run

    async def create(self, connection: Connection, case: str) -> str:
        """A thread, a run in it, in the background."""
        thread = await connection.call("POST", "/threads", {})
        path = f"/threads/{thread['thread_id']}/runs"
        body = {**_langgraph_body(case), "stream_resumable": True}
        run = await connection.call("POST", path, body)
        return f"{path}/{run['run_id']}/stream"

    async def streamed_create(self, connection: Connection, case: str) -> tuple[str, str, Any]:
        """`POST /threads/{id}/runs/stream`; the thread is there already."""
        thread = await connection.call("POST", "/threads", {})
        body = {**_langgraph_body(case), "stream_resumable": True}
        return "POST", f"/threads/{thread['thread_id']}/runs/stream", body

    async def pause(self, connection: Connection) -> Pause:
        """Wait for the run, which comes back interrupted."""
        thread = await connection.call("POST", "/threads", {})
        path = f"/threads/{thread['thread_id']}/runs"
        run = await connection.call("POST", f"{path}/wait", _langgraph_body("asking"))
        assert "__interrupt__" in run, run
        body = {**_langgraph_body("asking"), "input": None, "command": {"resume": "yes"}}
        return Pause(f"{path}/none/stream", ("POST", f"{path}/stream", body), is_streamed=True)

    def replay_path(self, content: bytes) -> str:
        """The run's stream, from its first event: the first one names run and thread."""
        run = re.search(rb'"run_id": ?"([0-9a-f-]{36})"', content)
        thread = re.search(rb'"thread_id": ?"([0-9a-f-]{36})"', content)
        assert run, "a stream begins with its metadata"
        assert thread, "the graph writes its thread down"
        run_id, thread_id = run.group(1).decode(), thread.group(1).decode()
        return f"/threads/{thread_id}/runs/{run_id}/stream"


def _langgraph_body(case: str) -> dict[str, Any]:
    return {
        "assistant_id": "bench",
        "input": {"case": case},
        "stream_mode": ["custom", "values"],
    }


TARGETS: dict[str, TargetApi] = {"runs_api": RunsApi(), "langgraph": LangGraph()}
