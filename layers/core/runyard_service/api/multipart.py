"""Read `multipart/form-data` with size limits: text parts in memory, file parts spooled to disk.

Callers get our error messages, never those of python-multipart or Starlette.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from runyard_service.adapters.dynamodb.files import MAX_FILE_BYTES
from runyard_service.api.http import MAX_BODY_BYTES, check_encoding, drain
from runyard_service.api.parse_json import reject_invalid_text
from runyard_service.api.part_names import decode_filename
from runyard_service.domain.request_errors import InvalidRequestError, PayloadTooLargeError

# No route accepts more text parts. The limit on files is above that of a run, because the response
# then reports how many files a run accepts.
_MAX_TEXTS = 16
_MAX_FILES = 1000
_INVALID = {"body": "is not valid multipart/form-data"}
# The media types of a route that accepts files, for errors.
MEDIA_TYPES = "application/json or multipart/form-data"
# API Gateway encodes these bodies in base64, and Lambda limits its request to 6 MB. Above about
# 4.4 MB, AWS itself would answer, without our details.
MAX_GATEWAY_BYTES = 4_400_000
UPLOAD_HINT = (
    "upload larger files directly to S3: POST /v1/files with a JSON body "
    '{"name", "size", "mime_type"} returns an upload for up to '
    f"{MAX_FILE_BYTES} bytes; pass its id in file_ids of a JSON body to POST /v1/runs"
)


@dataclass(frozen=True)
class Form:
    """The parts of a body: text values by name, and files with the name of their part."""

    texts: Mapping[str, str]
    files: Sequence[tuple[str, UploadFile]]


def is_multipart(request: Request) -> bool:
    """Return True if the Content-Type is `multipart/form-data`."""
    content_type = request.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


@asynccontextmanager
async def multipart_form(
    request: Request, max_bytes: int, *, file_parts: frozenset[str]
) -> AsyncIterator[Form]:
    """Yield the parts of the body, and close the files at the end.

    Raise PayloadTooLargeError above `max_bytes`. Raise InvalidRequestError for an invalid body or
    a repeated text part.
    """
    check_encoding(request)
    data = await _parse(request, max_bytes)
    try:
        yield await _group_parts(data, file_parts)
    finally:
        await data.close()


async def _parse(request: Request, max_bytes: int) -> FormData:
    chunks = request.stream()
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise await _too_large(chunks, max_bytes)
    parser = _Parser(
        request.headers,
        _limit_size(chunks, max_bytes),
        max_files=_MAX_FILES,
        max_fields=_MAX_TEXTS,
        max_part_size=MAX_BODY_BYTES,
    )
    try:
        data = await parser.parse()
    # UnicodeError: the content type may name any of Python's codecs as its charset.
    except (MultiPartException, UnicodeError) as error:
        await drain(chunks)
        raise InvalidRequestError(_INVALID) from error
    if not parser.has_ended:
        parser.close_files()
        raise InvalidRequestError(_INVALID)
    return data


class _Parser(MultiPartParser):
    """Starlette's parser, which also decodes file names and records if the body is complete."""

    has_ended = False

    def on_headers_finished(self) -> None:
        part = self._current_part
        name = decode_filename(part.content_disposition or b"")
        if name is not None:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            # The last parameter of a name wins.
            suffix = f'; filename="{quoted}"'.encode(self._charset, "replace")
            part.content_disposition = (part.content_disposition or b"") + suffix
        super().on_headers_finished()

    def on_end(self) -> None:
        self.has_ended = True

    def close_files(self) -> None:
        """Close every file, also those of incomplete parts."""
        for file in self._files_to_close_on_error:
            file.close()


async def _limit_size(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise await _too_large(chunks, max_bytes)
        yield chunk


async def _too_large(chunks: AsyncIterator[bytes], max_bytes: int) -> PayloadTooLargeError:
    await drain(chunks)
    return PayloadTooLargeError({"body": f"must be at most {max_bytes} bytes; {UPLOAD_HINT}"})


async def _group_parts(data: FormData, file_parts: frozenset[str]) -> Form:
    texts: dict[str, str] = {}
    files: list[tuple[str, UploadFile]] = []
    for name, part in data.multi_items():
        if isinstance(part, UploadFile) and name in file_parts:
            if part.filename or part.size:  # A form's empty file field is a part without either.
                files.append((name, part))
            continue
        reject_invalid_text(name, "body")
        if name in texts:
            raise InvalidRequestError({name: "must appear only once"})
        texts[name] = await _read_text(name, part)
    reject_invalid_text(texts, "body")
    return Form(texts, files)


async def _read_text(name: str, part: UploadFile | str) -> str:
    """Return the text of a part. A browser sends a Blob as a file, also for text."""
    if isinstance(part, str):
        return part
    content = await part.read(MAX_BODY_BYTES + 1)
    if len(content) > MAX_BODY_BYTES:
        raise PayloadTooLargeError({name: f"must be at most {MAX_BODY_BYTES} bytes"})
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError({name: "is not UTF-8"}) from error
