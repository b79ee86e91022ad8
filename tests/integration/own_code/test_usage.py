"""The usage of models that a step calls by itself, and the limits of the run."""

from typing import Any

from runyard import Context
from tests.integration.own_code.conftest import CodeRuns


async def own_client(ctx: Context, data: Any) -> int:
    def used(result: Any) -> Any:
        return {"input_tokens": 1000, "output_tokens": result, "cost_usd": 0.25}

    for _ in range(3):
        await ctx.step("model", lambda: 10, effect="none", usage=used)
        await ctx.step("pay", lambda: 1)
    return 1


def test_the_run_counts_the_usage_of_the_codes_own_client(code_runs: CodeRuns) -> None:
    run = code_runs.start(own_client)
    usage = code_runs.finish(run).data["usage"]
    assert usage.items() >= {"input_tokens": 3000, "output_tokens": 30, "cost_usd": 0.75}.items()
    assert usage["steps"] == 0
    steps = [each for each in code_runs.events(run) if each.type == "agent.step.completed"]
    expected = {"input_tokens": 1000, "output_tokens": 10, "cost_usd": 0.25}
    assert [each.data.get("usage") for each in steps] == [expected, None] * 3
    stored = code_runs.record(run).usage
    assert (stored.input_tokens, str(stored.cost_usd)) == (3000, "0.75")


def test_usage_of_the_last_invocation_is_counted(code_runs: CodeRuns) -> None:
    async def one_call(ctx: Context, data: Any) -> Any:
        used: Any = {"input_tokens": 7}
        return await ctx.step("model", lambda: 10, effect="none", usage=lambda _: used)

    run = code_runs.start(one_call)
    assert code_runs.finish(run).data["usage"]["input_tokens"] == 7
    assert code_runs.record(run).usage.input_tokens == 7


def test_a_run_ends_after_the_step_that_uses_up_a_limit(code_runs: CodeRuns) -> None:
    run = code_runs.start(own_client, limits={"usd": 0.5})
    end = code_runs.finish(run)
    assert end.data["error"]["code"] == "limit_exceeded"
    assert end.data["usage"]["cost_usd"] == 0.5
    assert code_runs.types(run).count("agent.step.completed") == 3


def test_code_that_needs_no_further_response_completes_at_its_limit(code_runs: CodeRuns) -> None:
    async def one_response(ctx: Context, data: Any) -> str:
        return (await ctx.call_model("Hello.")).text

    run = code_runs.start(one_response, limits={"steps": 1})
    assert code_runs.finish(run).data["output"] == {"content": "Hello."}

    async def two_responses(ctx: Context, data: Any) -> str:
        await ctx.call_model("Hello.")
        return (await ctx.call_model("Hello.")).text

    run = code_runs.start(two_responses, limits={"steps": 1})
    error = code_runs.finish(run).data["error"]
    assert (error["code"], error["message"]) == (
        "limit_exceeded",
        "the run has taken its 1 steps",
    )


def test_usage_that_is_no_usage_fails_the_run(code_runs: CodeRuns) -> None:
    async def wrong(ctx: Context, data: Any) -> Any:
        used: Any = {"input_tokens": -1}
        return await ctx.step("model", lambda: 10, effect="none", usage=lambda _: used)

    run = code_runs.start(wrong)
    error = code_runs.finish(run).data["error"]
    assert error["code"] == "invalid_response"
    assert "done.0.usage.input_tokens" in error["message"]


def _one_token(_: Any) -> Any:
    return {"input_tokens": 1}


def test_steps_before_an_invalid_output_are_recorded_and_counted(code_runs: CodeRuns) -> None:
    async def wrong_output(ctx: Context, data: Any) -> str:
        await ctx.step("pay", lambda: 1, usage=_one_token)
        return "no object"

    run = code_runs.start(wrong_output, output_schema={"type": "object"})
    end = code_runs.finish(run)
    assert end.data["error"]["code"] == "output_invalid"
    assert end.data["usage"]["input_tokens"] == 1
    assert code_runs.types(run)[-2:] == ["agent.step.completed", "run.failed"]


def test_steps_are_recorded_and_counted_if_the_run_may_do_no_more(code_runs: CodeRuns) -> None:
    async def has_more_steps(ctx: Context, data: Any) -> None:
        for _ in range(9):
            await ctx.step("pay", lambda: 1, usage=_one_token)

    run = code_runs.start(has_more_steps, limits={"operations": 2})
    end = code_runs.finish(run)
    assert end.data["error"]["code"] == "limit_exceeded"
    assert end.data["usage"]["input_tokens"] == 2
    types = code_runs.types(run)
    assert types.count("agent.step.started") == types.count("agent.step.completed") == 2


def test_a_step_after_the_one_that_uses_up_a_limit_is_not_in_doubt(code_runs: CodeRuns) -> None:
    run = code_runs.start(own_client, limits={"usd": 0.5, "on_limit": "ask"})
    paused = code_runs.advance(run)
    assert (paused.outcome, paused.limit) == ("needs_input", "usd")
    assert code_runs.ask(run, met=paused)
    code_runs.answer(run, is_approved=True)
    assert code_runs.finish(run).data["output"] == {"content": "1"}
