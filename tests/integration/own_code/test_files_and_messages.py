"""An agent's own code reads the files of its run and the messages of its thread."""

from io import BytesIO
from typing import Any

import pytest

from runyard import Context, agent
from runyard.testing import run as run_alone
from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.agents.code import protocol
from runyard_service.application.own_code import invocation_requests
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.threads import Thread
from tests.integration.own_code.conftest import CodeRuns


async def reads_files(ctx: Context, data: Any) -> Any:
    texts = []
    for file in ctx.files:
        await ctx.ask(f"Read {file.name} of {file.size} bytes?")
        read = file.read
        texts.append(
            await ctx.step("read", lambda r=read: r().decode(), effect="none", ident=file.id)
        )
    return {"texts": texts, "types": [file.mime_type for file in ctx.files]}


def test_the_code_reads_the_files_of_its_run(code_runs: CodeRuns) -> None:
    files = code_runs.stores.files
    saved = [
        files.save("p", NewFile(f"{name}.txt", "text/plain", BytesIO(name.encode())), None)
        for name in ("first", "second")
    ]
    run = code_runs.start(reads_files, record={"file_ids": [file.id for file in saved]})
    code_runs.pause(run)
    assert code_runs.events(run)[-2].data["prompt"] == "Read first.txt of 5 bytes?"
    code_runs.answer(run, feedback="yes")
    code_runs.pause(run)
    code_runs.answer(run, feedback="yes")
    assert code_runs.finish(run).data["output"] == {
        "texts": ["first", "second"],
        "types": ["text/plain", "text/plain"],
    }
    urls = [each["run"]["files"][0]["url"] for each in code_runs.endpoint.invocations]
    assert all(saved[0].key in url for url in urls)


def test_a_test_without_a_service_has_files_and_messages() -> None:
    async def counts(ctx: Context, data: Any) -> Any:
        return [len(ctx.files), ctx.files[0].read().decode(), ctx.messages[-1]["content"]]

    result = run_alone(
        agent(counts),
        files={"a.txt": b"text"},
        messages=[{"role": "user", "content": "Hello."}],
    )
    assert result.output == [1, "text", "Hello."]


async def responds(ctx: Context, data: Any) -> Any:
    response = await ctx.call_model(ctx.messages)
    return f"{len(ctx.messages)} messages, {response.text}"


@pytest.mark.parametrize("limit", [protocol.MAX_MESSAGES_BYTES, 10])
def test_the_code_answers_in_a_thread(
    code_runs: CodeRuns, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(invocation_requests, "MAX_MESSAGES_BYTES", limit)
    stores = code_runs.stores
    now, run_id = timestamp(), new_id()
    new = Thread(id=new_id(), project_id="p", org_id="o", created_at=now, updated_at=now)
    thread = stores.threads.create(new.model_copy(update={"active_run_id": run_id}))
    for text in ("Hello.", "Are you there?"):
        stores.messages.add(thread.id, "user", text)
    record = {"id": run_id, "thread_id": thread.id, "thread_messages": 2, "input": {}}
    run = code_runs.start(responds, record=record)
    assert code_runs.finish(run).data["output"] == {"content": "2 messages, Hello."}
    newest = list(stores.messages.read(thread.id, 0, 3))[-1]
    assert (newest.role, newest.content) == ("assistant", "2 messages, Hello.")
    info = code_runs.endpoint.invocations[-1]["run"]
    assert ("messages_url" in info) == (limit == 10)
