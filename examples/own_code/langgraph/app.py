"""Refund an order: a graph of LangGraph."""

from langchain_core.messages import SystemMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt

from runyard.langgraph import ChatModel, serve


@tool
def find_order(order: int) -> dict:
    """Find an order."""
    return {"order": order, "amount": 49}


@tool
def refund(order: int, amount: int) -> str:
    """Refund an order, if a person approves it."""
    answer = interrupt({"prompt": f"Refund {amount}?", "choices": ["yes", "no"]})
    if answer != "yes":
        return "A person denied the refund."
    return f"refunded {amount} for order {order}"  # A real agent calls a payment service.


tools = [find_order, refund]
model = ChatModel().bind_tools(tools)


def respond(state: MessagesState):
    """Request a response of the model."""
    return {"messages": [model.invoke([SystemMessage("Refund orders."), *state["messages"]])]}


builder = StateGraph(MessagesState)
builder.add_node("respond", respond)
builder.add_node("tools", ToolNode(tools))
builder.add_edge(START, "respond")
builder.add_conditional_edges("respond", tools_condition)
builder.add_edge("tools", "respond")

handler = serve(
    builder.compile(),
    effects={"respond": "replay", "find_order": "none", "refund": "unsafe"},
    state=lambda data: {"messages": [("user", f"Refund order {data['order']}.")]},
    output=lambda state: state["messages"][-1].content,
)
