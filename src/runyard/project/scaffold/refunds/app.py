"""The agent `refunds`. Code that acts or changes runs in `ctx.step`: a crash repeats no payment."""

import json
from typing import Any

from runyard import Context, agent


def pay(order: int, amount: int) -> str:
    """Pay a refund. Call your payment service here."""
    return f"paid {amount} for order {order}"


@agent
async def handler(ctx: Context, data: dict[str, Any]) -> dict[str, Any]:
    """Look up the order, ask a person, and pay what the person approves."""
    order = json.loads(await ctx.call_tool("lookup_order", order=data["order"]))
    summary = await ctx.call_model(f"Describe the refund in one sentence: {order}")
    answer = await ctx.approve(summary.text, {"amount": order["amount"]}, editable=["amount"])
    if not answer.is_approved:
        return {"paid": None}
    return {"paid": await ctx.step("pay", pay, data["order"], answer.params["amount"])}
