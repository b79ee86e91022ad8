"""Refund an order: plain Python."""

from runyard import agent


def find_order(order):
    """Return an order. A real agent reads a database."""
    return {"order": order, "amount": 49}


def refund(order, amount):
    """Refund an order. A real agent calls a payment service."""
    return f"refunded {amount} for order {order}"


TOOLS = [
    {"name": "find_order", "parameters": {"type": "object", "properties": {}}},
    {"name": "refund", "parameters": {"type": "object", "properties": {}}},
]


@agent
async def handler(ctx, data):
    messages = [{"role": "user", "content": f"Refund order {data['order']}."}]
    while True:
        response = await ctx.call_model(messages, tools=TOOLS, instructions="Refund orders.")
        if not response.tool_calls:
            return response.text
        messages.append(response.message)
        for call in response.tool_calls:
            result = await call_tool(ctx, call)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": str(result)})


async def call_tool(ctx, call):
    """Return the result of a call of the model."""
    if call.name == "find_order":
        return await ctx.step("find_order", find_order, call.input["order"], effect="none")
    answer = await ctx.approve("Refund?", call.input, editable=["amount"])
    if not answer.is_approved:
        return "A person denied the refund."
    return await ctx.step("refund", refund, answer.params["order"], answer.params["amount"])
