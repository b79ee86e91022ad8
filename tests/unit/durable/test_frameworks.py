"""What the adapters of frameworks share."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runyard import Context
from runyard.durable import frameworks
from runyard.testing import run

SOURCE = Path(__file__).resolve().parents[3] / "src"


def test_the_package_needs_only_the_standard_library() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r});"
        "import runyard, runyard.testing, runyard.durable.frameworks; runyard.agent"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


@pytest.mark.parametrize(
    ("data", "prompt"),
    [
        ({"prompt": "Refund 7"}, "Refund 7"),
        ({"topic": "Why?"}, "Why?"),
        ({"order": 7}, '{"order": 7}'),
        ({"a": "ä", "b": "c"}, '{"a": "ä", "b": "c"}'),
    ],
)
def test_the_prompt_is_the_only_text_or_the_input(data: Any, prompt: str) -> None:
    assert frameworks.prompt_of(data) == prompt


def test_an_unknown_tool_is_unsafe() -> None:
    assert frameworks.effect_of({"search": "none"}, "pay") == "unsafe"
    assert frameworks.effect_of({"*": "idempotent"}, "pay") == "idempotent"
    assert frameworks.effect_of({"*": "none", "pay": "unsafe"}, "pay") == "unsafe"


@pytest.mark.parametrize(
    ("value", "args"),
    [
        ("Why?", {"prompt": "Why?"}),
        ({"message": "Refund?", "choices": ["yes"]}, {"prompt": "Refund?", "choices": ["yes"]}),
        ({"message": "Refund?", "amount": 4}, {"prompt": '{"message": "Refund?", "amount": 4}'}),
        ({"amount": 4}, {"prompt": '{"amount": 4}'}),
        ([1], {"prompt": "[1]"}),
    ],
)
def test_an_interrupt_asks_a_person(value: Any, args: Any) -> None:
    async def code(ctx: Context, data: Any) -> Any:
        return await frameworks.ask_person(ctx, value)

    asked: list[Any] = []

    def answer(operation: Any) -> str:
        asked.append(operation["args"])
        return "yes"

    assert run(frameworks.handler_of(code), answers=answer).output == "yes"
    assert asked == [args]


def test_the_current_context_is_that_of_the_run() -> None:
    async def code(ctx: Context, data: Any) -> bool:
        return frameworks.current_context() is ctx

    assert run(frameworks.handler_of(code)).output is True
    with pytest.raises(RuntimeError, match="only inside a run"):
        frameworks.current_context()
