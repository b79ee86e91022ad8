"""The files that tools return: stored as files of the project, and sent to the model."""

import asyncio
import io
from collections.abc import Mapping, Sequence

from runyard_service.adapters.dynamodb.files import File, NewFile
from runyard_service.adapters.stores import Stores
from runyard_service.agents.mcp.base import ReturnedFile
from runyard_service.agents.models.attachments import for_provider, sent_bytes
from runyard_service.agents.models.base import Attachment
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.event_payloads.tool_calls import ReturnedFilePayload


async def store_files(ctx: RunContext, files: Sequence[ReturnedFile]) -> list[ReturnedFilePayload]:
    """Store the files of a result. They are deleted with the run, unless another run uses them."""
    return [await asyncio.to_thread(_store, ctx, file) for file in files]


def _store(ctx: RunContext, file: ReturnedFile) -> ReturnedFilePayload:
    run, new = ctx.journal.run, NewFile(file.name, file.mime_type, io.BytesIO(file.data))
    stored = ctx.deps.stores.files.save(run.project_id, new, run_id=run.id)
    return {
        "id": stored.id,
        "name": stored.name,
        "mime_type": stored.mime_type,
        "size": stored.size,
    }


async def attach_returned_files(ctx: RunContext) -> Mapping[str, Attachment]:
    """Return the files of all tool results as the model receives them, by id."""
    named = ctx.history.returned_files
    if len(named) != len(ctx.returned_files):
        own = [(file.mime_type, file.size) for file in await ctx.attachments()]
        lengths = sent_bytes([*own, *((file["mime_type"], file["size"]) for file in named)])
        for file, length in zip(named, lengths[len(own) :], strict=True):
            if file["id"] not in ctx.returned_files:
                ctx.returned_files[file["id"]] = await asyncio.to_thread(_read, ctx, file, length)
    return ctx.returned_files


def _read(ctx: RunContext, named: ReturnedFilePayload, length: int) -> Attachment:
    stores: Stores = ctx.deps.stores
    file: File | None = stores.files.find(ctx.journal.run.project_id, named["id"])
    # Its project may have deleted the file.
    data = stores.files.read(file, length) if file else b""
    attachment = Attachment(named["id"], named["name"], named["mime_type"], named["size"], data)
    return for_provider(attachment, ctx.snapshot.route.provider)
