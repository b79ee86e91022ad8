"""`runyard agents versions` lists the versions that open runs use."""

import pytest
from click.testing import CliRunner

from runyard import Context
from runyard.cli.agents import agents
from tests.integration.own_code.conftest import CodeRuns


async def waits(ctx: Context, data: object) -> None:
    await ctx.ask("Why?")


def test_open_runs_are_counted_by_version(
    code_runs: CodeRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "runyard-agent-counted"
    runs = []
    for version in ("9", "10", "10"):
        code_runs.endpoint.version = version
        runs.append(code_runs.start(waits, function=name))
        code_runs.pause(runs[-1])
        code_runs.endpoint.code.release()

    def counted() -> list[tuple[str, int, str]]:
        in_use = code_runs.stores.code_versions.in_use()
        return [(e.version, e.runs, e.oldest_run) for e in in_use if e.function == name]

    assert counted() == [("9", 1, runs[0].id), ("10", 2, runs[1].id)]
    code_runs.answer(runs[0], feedback="late")
    code_runs.finish(runs[0])
    assert counted() == [("10", 2, runs[1].id)]


def test_the_command_prints_a_table(code_runs: CodeRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    run = code_runs.start(waits, function="runyard-agent-printed")
    code_runs.pause(run)
    table = code_runs.stores.code_versions._table
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", table.client.meta.endpoint_url)
    result = CliRunner().invoke(agents, ["versions", "--table", table.name])
    assert result.exit_code == 0, result.output
    line = next(each for each in result.output.splitlines() if "runyard-agent-printed" in each)
    assert line.split()[:3] == ["runyard-agent-printed", "7", "1"]
    assert line.endswith(run.id)
