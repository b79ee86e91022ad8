"""The cases of `benchmarks/agents/scripts/bench.yaml` as a LangGraph graph of one node."""

import asyncio
import time
from typing import Any, TypedDict

from langgraph.config import get_config, get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

_WORD = "x" * 99 + " "


class State(TypedDict, total=False):
    """What goes in and what comes out."""

    case: str
    thread_id: str
    done: bool


async def play(state: State) -> State:
    """Do what the case says."""
    case, write = state["case"], get_stream_writer()
    if case.startswith("flood-"):
        for _ in range(int(case.removeprefix("flood-"))):
            write({"delta": _WORD})
            await asyncio.sleep(0)
    elif case == "ticking":
        for _ in range(160):
            write({"delta": _WORD, "at": time.time()})
            await asyncio.sleep(0.05)
    elif case == "asking":
        interrupt("Continue?")
    thread_id: Any = get_config()["configurable"].get("thread_id", "")
    return {"thread_id": str(thread_id), "done": True}


graph = StateGraph(State).add_node("play", play).add_edge(START, "play").add_edge("play", END)
bench = graph.compile()
