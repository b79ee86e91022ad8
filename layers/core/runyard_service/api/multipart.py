"""`multipart/form-data`, read with a bound: text parts in memory, file parts spooled to disk.

What python-multipart and Starlette say about a faulty body is theirs; what leaves is ours.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from runyard_service.adapters.dynamodb.files import MAX_FILE_BYTES
from runyard_service.api.http import MAX_BODY_BYTES, drain, reject_invalid_text
from runyard_service.domain.errors import InvalidRequestError, PayloadTooLargeError

# Nothing here takes more than a handful of text parts. Of files there may be more than a run takes,
# so that the fault can be named.
_MAX_TEXTS = 16
_MAX_FILES = 1000
_UNSOUND = {"body": "is not valid multipart/form-data"}
UPLOAD_HINT = (
    "larger files are uploaded straight to S3: POST /v1/files with a JSON body "
    '{"name", "size", "mime_type"} answers with an upload of up to '
    f"{MAX_FILE_BYTES} bytes, and its id goes into file_ids of a JSON body to POST /v1/runs"
)


@dataclass(frozen=True)
class Form:
    """The parts of a body: texts by name, and files with the name of their part."""

    texts: Mapping[str, str]
    files: Sequence[tuple[str, UploadFile]]


def is_multipart(request: Request) -> bool:
    """Whether the body says that it is `multipart/form-data`."""
    content_type = request.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


@asynccontextmanager
async def multipart_form(
    request: Request, max_bytes: int, *, file_parts: frozenset[str]
) -> AsyncIterator[Form]:
    """The body's parts, whose files are closed at the end.

    Raises PayloadTooLargeError over `max_bytes`, InvalidRequestError for a body that is unsound or
    has a text part twice.
    """
    data = await _parsed(request, max_bytes)
    try:
        yield await _sorted(data, file_parts)
    finally:
        await data.close()


async def _parsed(request: Request, max_bytes: int) -> FormData:
    chunks = request.stream()
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise await _too_large(chunks, max_bytes)
    parser = _Parser(
        request.headers,
        _bounded(chunks, max_bytes),
        max_files=_MAX_FILES,
        max_fields=_MAX_TEXTS,
        max_part_size=MAX_BODY_BYTES,
    )
    try:
        data = await parser.parse()
    # UnicodeError: the content type may name any of Python's codecs as its charset.
    except (MultiPartException, UnicodeError) as error:
        await drain(chunks)
        raise InvalidRequestError(_UNSOUND) from error
    if not parser.has_ended:
        parser.close_files()
        raise InvalidRequestError(_UNSOUND)
    return data


class _Parser(MultiPartParser):
    """Starlette's, which takes a body that breaks off for a whole one; this one knows."""

    has_ended = False

    def on_end(self) -> None:
        self.has_ended = True

    def close_files(self) -> None:
        """Close every file, also one whose part did not end."""
        for file in self._files_to_close_on_error:
            file.close()


async def _bounded(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise await _too_large(chunks, max_bytes)
        yield chunk


async def _too_large(chunks: AsyncIterator[bytes], max_bytes: int) -> PayloadTooLargeError:
    await drain(chunks)
    return PayloadTooLargeError({"body": f"must be at most {max_bytes} bytes; {UPLOAD_HINT}"})


async def _sorted(data: FormData, file_parts: frozenset[str]) -> Form:
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
        texts[name] = await _text(name, part)
    reject_invalid_text(texts, "body")
    return Form(texts, files)


async def _text(name: str, part: UploadFile | str) -> str:
    """A text part; a browser sends a Blob as a file, whatever it holds."""
    if isinstance(part, str):
        return part
    content = await part.read(MAX_BODY_BYTES + 1)
    if len(content) > MAX_BODY_BYTES:
        raise PayloadTooLargeError({name: f"must be at most {MAX_BODY_BYTES} bytes"})
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError({name: "is not UTF-8"}) from error
