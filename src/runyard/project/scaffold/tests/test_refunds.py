"""Run the agent without a service, and interrupt it at each point where it can crash."""

from refunds.app import handler
from tools.lookup_order import handler as lookup_order

from runyard.testing import crash_everywhere, run

APPROVAL = {"is_approved": True, "params": {"amount": 30}}
TOOLS = {"lookup_order": lambda **event: lookup_order(event, None)}


def test_the_approved_amount_is_paid() -> None:
    result = run(handler, {"order": 7}, model=["Refund?"], tools=TOOLS, answers=[APPROVAL])
    assert result.output == {"paid": "paid 30 for order 7"}


def test_a_denied_refund_is_not_paid() -> None:
    result = run(handler, {"order": 7}, model=["Refund?"], tools=TOOLS, answers=[False])
    assert result.output == {"paid": None}


def test_a_crash_changes_no_output() -> None:
    crash_everywhere(
        handler,
        {"order": 7},
        model=lambda: ["Refund?"] * 9,
        tools=TOOLS,
        answers=lambda: [APPROVAL] * 9,
    )
