"""Refund an order: an agent of pydantic-ai."""

from pydantic_ai import Agent

from runyard.pydantic_ai import serve

agent = Agent(instructions="Refund orders.")


@agent.tool_plain
def find_order(order: int) -> dict:
    """Find an order."""
    return {"order": order, "amount": 49}


@agent.tool_plain(requires_approval=True)
def refund(order: int, amount: int) -> str:
    """Refund an order."""
    return f"refunded {amount} for order {order}"  # A real agent calls a payment service.


handler = serve(agent, effects={"find_order": "none", "refund": "unsafe"}, model="runyard")
