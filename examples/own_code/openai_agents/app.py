"""Refund an order: an agent of the OpenAI Agents SDK."""

from agents import Agent, function_tool
from runyard.openai_agents import serve


@function_tool
def find_order(order: int) -> dict:
    """Find an order."""
    return {"order": order, "amount": 49}


@function_tool(needs_approval=True)
def refund(order: int, amount: int) -> str:
    """Refund an order."""
    return f"refunded {amount} for order {order}"  # A real agent calls a payment service.


agent = Agent(name="Refunds", instructions="Refund orders.", tools=[find_order, refund])

handler = serve(agent, effects={"find_order": "none", "refund": "unsafe"}, model="runyard")
