"""Graphs of LangGraph as durable agents."""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, RemoveMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent, tools_condition
from langgraph.types import Command, Send, interrupt

from runyard.langgraph import ChatModel, serve
from runyard.testing import AgentFailed, replay, run
from tests.framework_agents.ledger import Ledger, keys, run_and_crash

LEDGER = Ledger()


class Refund(TypedDict, total=False):
    order: int
    amount: int
    is_approved: bool
    paid: str


def find_order(state: Refund) -> Refund:
    return {"amount": 49}


async def review(state: Refund) -> Command[Any]:
    answer = interrupt({"message": f"Refund {state['amount']}?", "choices": ["yes", "no"]})
    note = interrupt("Why?")
    if answer == "no":
        return Command(goto=END, update={"paid": "no: " + note})
    return Command(goto="pay")


def pay(state: Refund) -> Refund:
    LEDGER.add(f"pay {state['order']}")
    return {"paid": f"{state['amount']}"}


def refunds(checkpointer: Any = None) -> Any:
    builder = StateGraph(Refund)
    builder.add_node(find_order)
    builder.add_node(review)
    builder.add_node(pay)
    builder.add_edge(START, "find_order")
    builder.add_edge("find_order", "review")
    builder.add_edge("pay", END)
    return builder.compile(checkpointer=checkpointer)


EFFECTS: Any = {"find_order": "none", "review": "none"}


def test_an_interrupt_asks_a_person_and_the_unsafe_node_runs_once() -> None:
    result, report = run_and_crash(
        serve(refunds(), effects=EFFECTS),
        LEDGER,
        {"order": 7},
        answers=lambda: ["yes", "Broken."],
    )
    assert result.output == {"order": 7, "amount": 49, "paid": "49"}
    assert keys(result) == [
        "find_order-1/step:find_order#1",
        "review-1/step:review#1",
        "review-1/ask:ask#1",
        "review-2/step:review#1",
        "review-2/ask:ask#1",
        "review-3/step:review#1",
        "pay-1/step:pay#1",
    ]
    assert report.in_doubt == 1


def test_a_denied_refund_pays_nothing() -> None:
    result = run(serve(refunds(), effects=EFFECTS), {"order": 7}, answers=["no", "Late."])
    assert result.output["paid"] == "no: Late."
    assert LEDGER.effects == []


def test_a_checkpointer_of_the_graph_is_not_used() -> None:
    saver = InMemorySaver()
    handler = serve(refunds(saver), effects=EFFECTS)
    outputs = [run(handler, {"order": 7}, answers=["no", "Late."]).output for _ in range(2)]
    assert outputs[0] == outputs[1]
    assert list(saver.list(None)) == []


class Jobs(TypedDict, total=False):
    names: list[str]
    name: str
    done: Annotated[list[str], operator.add]


def test_parallel_branches_have_stable_keys() -> None:
    def work(state: Jobs) -> Jobs:
        LEDGER.add(state["name"])
        return {"done": [state["name"]]}

    async def confirm(state: Jobs) -> Jobs:
        return {"done": [interrupt(state["name"] + "?")]}

    def split(state: Jobs) -> list[Send]:
        return [Send(node, {"name": n}) for n in state["names"] for node in ("work", "confirm")]

    builder = StateGraph(Jobs)
    builder.add_node(work)
    builder.add_node(confirm)
    builder.add_conditional_edges(START, split, ["work", "confirm"])
    handler = serve(builder, effects={"confirm": "none"})
    result, report = run_and_crash(
        handler,
        LEDGER,
        {"names": ["a", "b"]},
        answers=lambda: lambda operation: operation["args"]["prompt"].upper(),
    )
    assert result.output["done"] == ["a", "A?", "b", "B?"]
    assert {"work-1/step:work#1", "work-2/step:work#1", "confirm-2/ask:ask#1"} <= set(keys(result))
    assert report.in_doubt > 0


def test_a_subgraph_is_recorded_node_by_node() -> None:
    outer = StateGraph(Refund)
    outer.add_node("refund", refunds())
    outer.add_edge(START, "refund")
    handler = serve(outer, effects={"find_order": "none", "review": "none"})
    result, _ = run_and_crash(handler, LEDGER, {"order": 7}, answers=lambda: ["yes", "Broken."])
    assert result.output["paid"] == "49"
    assert "refund.pay-1/step:refund.pay#1" in keys(result)


def test_the_tokens_of_the_models_of_a_node_are_reported() -> None:
    async def ask(state: MessagesState) -> dict[str, Any]:
        response = AIMessage(
            "Done.",
            usage_metadata={
                "input_tokens": 100,
                "output_tokens": 10,
                "total_tokens": 110,
                "input_token_details": {"cache_read": 40},
            },
            response_metadata={"model_name": "fake"},
        )
        model = GenericFakeChatModel(messages=iter([response, response]))
        await model.ainvoke(state["messages"])
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_node("end", lambda state: {})
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "end")
    result = run(serve(builder), {"messages": [{"role": "user", "content": "Hello."}]})
    expected = {"input_tokens": 200, "output_tokens": 20, "cached_input_tokens": 80}
    assert result.usage == [{**expected, "cache_write_tokens": 0}]


@tool
def search(query: str) -> str:
    """Search the orders."""
    return f"found {query}"


@tool
def refund(order: int) -> str:
    """Refund an order."""
    LEDGER.add(f"refund {order}")
    return "refunded"


@tool
def confirm(order: int) -> str:
    """Ask a person."""
    return interrupt(f"Refund {order}?")


def calls(*named: tuple[str, dict[str, Any]]) -> AIMessage:
    return AIMessage(
        "", tool_calls=[{"id": f"c-{name}", "name": name, "args": args} for name, args in named]
    )


CALLS = calls(("refund", {"order": 7}), ("confirm", {"order": 8}), ("search", {"query": "9"}))


def test_a_tool_node_records_each_call_and_repeats_none_for_an_interrupt() -> None:
    def model(state: MessagesState) -> dict[str, Any]:
        is_first = len(state["messages"]) == 1
        return {"messages": [CALLS if is_first else AIMessage("Done.")]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", model)
    builder.add_node("tools", ToolNode([search, refund, confirm]))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    handler = serve(
        builder.compile(), effects={"model": "none", "search": "none", "confirm": "idempotent"}
    )
    result, report = run_and_crash(
        handler,
        LEDGER,
        {"messages": [{"role": "user", "content": "Refund 7"}]},
        answers=lambda: ["yes"],
    )
    contents = [message["content"] for message in result.output["messages"]]
    assert contents == ["Refund 7", "", "refunded", "yes", "found 9", "Done."]
    assert report.in_doubt > 0


def test_the_service_requests_the_responses_of_a_prebuilt_agent() -> None:
    requests: list[Any] = []

    def respond(operation: Any) -> Any:
        requests.append(operation["args"])
        if len(operation["args"]["messages"]) > 1:
            return "Done."
        call = {"id": "c1", "name": "refund", "input": {"order": 7}}
        return {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}

    graph = create_react_agent(ChatModel(), [search, refund], prompt="Refund orders.")
    handler = serve(graph, effects={"agent": "replay"})
    result, report = run_and_crash(
        handler, LEDGER, {"messages": [("user", "Refund 7")]}, model=lambda: respond
    )
    assert result.output["messages"][-1]["content"] == "Done."
    assert requests[0]["instructions"] == "Refund orders."
    assert [item["name"] for item in requests[0]["tools"]] == ["search", "refund"]
    assert report.in_doubt == 1


def test_the_framework_s_own_model_and_removed_messages_work_unchanged() -> None:
    model = GenericFakeChatModel(messages=iter(AIMessage(f"Response {n}.") for n in range(99)))

    def respond(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def forget(state: MessagesState) -> dict[str, Any]:
        answer = interrupt("Forget the first message?")
        return {"messages": [RemoveMessage(id=state["messages"][0].id)] if answer else []}

    builder = StateGraph(MessagesState).add_sequence([respond, forget])
    builder.add_edge(START, "respond")
    handler = serve(builder, effects={"*": "none"})
    data = {"messages": [{"role": "user", "content": "Hello"}]}
    result = run(handler, data, answers=["yes"])
    assert result.output["messages"] == [{"type": "ai", "content": "Response 0."}]
    assert replay(handler, result.journal, data) == result.output


def test_changed_input_of_a_node_fails_before_an_effect() -> None:
    result = run(serve(refunds(), effects=EFFECTS), {"order": 7}, answers=["yes", ""])
    LEDGER.clear()
    with pytest.raises(AgentFailed, match="code_changed"):
        replay(serve(refunds(), effects=EFFECTS), result.journal, {"order": 8})
    assert LEDGER.effects == []
