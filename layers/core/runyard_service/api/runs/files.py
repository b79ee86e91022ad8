"""`POST /v1/files`, and files in a `multipart/form-data` body of `POST /v1/runs`.

Requests have at most MAX_BODY_BYTES. For a larger file, send JSON to get a presigned upload to S3.
"""

import hashlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.adapters.dynamodb.files import MAX_FILE_BYTES, File, NewFile
from runyard_service.adapters.dynamodb.idempotency import HEADER
from runyard_service.agents.definitions.known_fields import known_names
from runyard_service.api.auth import authenticate
from runyard_service.api.dependencies import ServicesDep
from runyard_service.api.http import (
    MAX_BODY_BYTES,
    JsonResponse,
    parse_body,
    validate,
)
from runyard_service.api.idempotency import claim_idempotency
from runyard_service.api.multipart import (
    MAX_GATEWAY_BYTES,
    MEDIA_TYPES,
    UPLOAD_HINT,
    Form,
    is_multipart,
    multipart_form,
)
from runyard_service.api.parse_json import parse_json
from runyard_service.api.runs.schemas import MAX_FILES, CreateFile, CreateRun
from runyard_service.api.services import Services
from runyard_service.domain.content_types import parse_mime_type, safe_name
from runyard_service.domain.request_errors import InvalidRequestError, PayloadTooLargeError

router = APIRouter()

# The parts of a run. `file_ids` is only valid in a JSON body.
_PARTS = frozenset({*CreateRun.model_fields, "files"} - {"file_ids"})


async def _uploader(request: Request, services: ServicesDep) -> AccessKey:
    return await authenticate(request, services, "files:write")


Uploader = Annotated[AccessKey, Depends(_uploader)]


@router.post("/files")
async def create_file(request: Request, services: ServicesDep, key: Uploader) -> Response:
    """Store a file from the request, or return a presigned upload to S3."""
    files, project_id = services.stores.files, key.project_id
    limit = _max_body_bytes(request, services)
    if not is_multipart(request):
        body = await parse_body(request, CreateFile, media_types=MEDIA_TYPES)
        claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
        file, upload = await run_in_threadpool(
            files.announce, project_id, body.name, body.size, body.mime_type, claim.creation
        )
        upload_view = {"url": upload.url, "fields": upload.fields}
        view = _file_view(file) | {"upload": upload_view}
        return claim.created_response(JsonResponse({"data": view}))
    async with multipart_form(request, limit, file_parts=frozenset({"file"})) as form:
        new = _single_file(form)
        content = await content_of(request, None, [new])
        claim = await claim_idempotency(request, services, key, content)
        saved = await run_in_threadpool(files.save, project_id, new, claim.creation)
        return claim.created_response(JsonResponse({"data": _file_view(saved)}))


def _max_body_bytes(request: Request, services: Services) -> int:
    limit = services.settings.max_body_bytes
    # Only the endpoint of API Gateway has a streaming endpoint to refer to.
    if is_multipart(request) and services.settings.stream_url:
        return min(limit, MAX_GATEWAY_BYTES)
    return limit


def _file_view(file: File) -> dict[str, Any]:
    return {"id": file.id, "name": file.name, "size": file.size, "mime_type": file.mime_type}


def _single_file(form: Form) -> NewFile:
    issues = {name: _unknown_part(name, {"file"}) for name in form.texts}
    if "file" in form.texts:
        issues["file"] = "must be a file"
    elif len(form.files) != 1:
        issues["file"] = "must appear only once" if form.files else "is required"
    if issues:
        raise InvalidRequestError(issues)
    return _new_files(form)[0]


def _new_files(form: Form) -> list[NewFile]:
    parts = [part for _, part in form.files]
    if sum(part.size or 0 for part in parts) > MAX_FILE_BYTES:
        issue = f"must be at most {MAX_FILE_BYTES} bytes in total; {UPLOAD_HINT}"
        raise PayloadTooLargeError({"files": issue})
    return [NewFile(part.filename or "", part.content_type, part.file) for part in parts]


@asynccontextmanager
async def create_body(
    request: Request, services: Services
) -> AsyncIterator[tuple[CreateRun, list[NewFile]]]:
    """Yield the body of `POST /v1/runs`, JSON or multipart, and its files.

    Raise as `parse_body`, with the same messages.
    """
    max_bytes = _max_body_bytes(request, services)
    if not is_multipart(request):
        yield await parse_body(request, CreateRun, max_bytes, media_types=MEDIA_TYPES), []
        return
    async with multipart_form(request, max_bytes, file_parts=frozenset({"files"})) as form:
        body = validate(_fields(form.texts), CreateRun, _PARTS)
        if len(form.files) > MAX_FILES:
            raise InvalidRequestError({"files": f"must have at most {MAX_FILES} items"})
        yield body, _new_files(form)


def _fields(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the text parts as the fields of a JSON body."""
    issues = {
        name: "must be a file" if name == "files" else _unknown_part(name, _PARTS)
        for name in texts
        if name in ("files", "file_ids")
    }
    if issues:
        raise InvalidRequestError(issues)
    # A browser sends an empty part for each empty field. Only `input` is required.
    fields: dict[str, Any] = {name: text for name, text in texts.items() if text or name == "input"}
    if "input" in fields:
        fields["input"] = parse_json(texts["input"], "input")
    for name in ("background", "stream"):
        # Python clients send `True`. `validate` rejects other values.
        if texts.get(name) in ("true", "false", "True", "False"):
            fields[name] = texts[name].lower() == "true"
    return fields


def _unknown_part(name: str, known: Collection[str]) -> str:
    return f"is not a known field{known_names(name, known)}"


async def content_of(
    request: Request, body: CreateRun | None, uploads: Sequence[NewFile]
) -> dict[str, Any]:
    """Return the request as JSON values, with digests in place of file contents.

    Without an Idempotency-Key, nothing needs them: return an empty dict.
    """
    if HEADER not in request.headers:
        return {}
    fields = {} if body is None else body.model_dump(mode="json")
    if uploads:
        fields["uploads"] = await run_in_threadpool(_descriptions, uploads)
    return fields


def _descriptions(uploads: Sequence[NewFile]) -> list[list[str | None]]:
    return [[safe_name(new.name), parse_mime_type(new.mime_type), _digest(new)] for new in uploads]


def _digest(new: NewFile) -> str:
    new.body.seek(0)
    digest = hashlib.sha256()
    while chunk := new.body.read(MAX_BODY_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
