"""An agent that pays a refund after a person has approved it."""

from typing import Any

from runyard import Context, agent


def load(order: int) -> dict[str, Any]:
    """Return the order. Replace it by a request to your shop."""
    return {"order": order, "amount": 49}


def pay(order: int, amount: float) -> str:
    """Pay the refund. Replace it by a request to your payment service."""
    return f"paid {amount} for order {order}"


@agent
async def handler(ctx: Context, data: dict[str, Any]) -> dict[str, Any]:
    """Load the order, ask for an approval, and pay what the person approved."""
    order = await ctx.step("load", load, data["order"], effect="none")
    answer = await ctx.approve("Pay the refund?", {"amount": order["amount"]}, editable=["amount"])
    if not answer.is_approved:
        return {"paid": None}
    return {"paid": await ctx.step("pay", pay, order["order"], answer.params["amount"])}
