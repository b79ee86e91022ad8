"""Refund an order: an agent of Strands."""

from strands import Agent, ToolContext, tool

from runyard.strands import ServiceModel, serve


@tool
def find_order(order: int) -> dict:
    """Find an order."""
    return {"order": order, "amount": 49}


@tool(context=True)
def refund(order: int, amount: int, tool_context: ToolContext) -> str:
    """Refund an order, if a person approves it."""
    reason = {"prompt": f"Refund {amount}?", "choices": ["yes", "no"]}
    if tool_context.interrupt("approval", reason=reason) != "yes":
        return "A person denied the refund."
    return f"refunded {amount} for order {order}"  # A real agent calls a payment service.


agent = Agent(
    model=ServiceModel(),
    system_prompt="Refund orders.",
    tools=[find_order, refund],
    callback_handler=None,
)

handler = serve(agent, effects={"find_order": "none", "refund": "unsafe"})
