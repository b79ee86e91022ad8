"""Send a run's files to the model.

Text files are sent as delimited text, images and PDFs as attachments of the provider. Of other
files the model receives name, type and size. The message states what was truncated or left out.
"""

import base64
import codecs
import json
from collections.abc import Sequence
from dataclasses import replace

from runyard_service.agents.models.base import Attachment, UserMessage
from runyard_service.domain.content_types import IMAGES, PDF, is_text

# In bytes. Providers take images up to 5 MB, and requests of about 32 MB, in which an attachment is
# a third longer than its bytes.
MAX_TEXT_BYTES = 200 * 1024
MAX_IMAGE_BYTES = 5_000_000
MAX_PDF_BYTES = 20_000_000
MAX_TEXT_TOGETHER = 1024 * 1024
MAX_BINARY_TOGETHER = 20_000_000

# Their requests contain files as base64. The SDKs of the other providers encode bytes themselves.
_TAKE_DATA_URIS = frozenset({"openai", "google", "mistral"})


def sent_bytes(files: Sequence[tuple[str, int]]) -> list[int]:
    """Return the number of first bytes to send of each file (type, size); 0 for none.

    Text may be truncated; an image or a PDF is sent whole or not at all.
    """
    text_left, binary_left = MAX_TEXT_TOGETHER, MAX_BINARY_TOGETHER
    lengths = []
    for mime_type, size in files:
        if is_text(mime_type):
            length = min(size, MAX_TEXT_BYTES, text_left)
            text_left -= length
        else:
            length = size if size <= min(_limit(mime_type), binary_left) else 0
            binary_left -= length
        lengths.append(length)
    return lengths


def _limit(mime_type: str) -> int:
    if mime_type in IMAGES:
        return MAX_IMAGE_BYTES
    return MAX_PDF_BYTES if mime_type == PDF else 0


def for_provider(attachment: Attachment, provider: str) -> Attachment:
    """Return the attachment for this provider: for some, a data URI of an image or a PDF.

    It is encoded once for all requests of the run, without the raw bytes (up to 20 MB).
    """
    if provider not in _TAKE_DATA_URIS or not attachment.data or is_text(attachment.mime_type):
        return attachment
    encoded = base64.b64encode(attachment.data).decode()
    return replace(attachment, data=b"", uri=f"data:{attachment.mime_type};base64,{encoded}")


def contents_of(message: UserMessage) -> list[str | Attachment]:
    """Return the message's text, then each file after a line that names it."""
    contents: list[str | Attachment] = [message.content]
    for attachment in message.attachments:
        head = f"file {attachment.id}: {_described(attachment)}"
        if is_text(attachment.mime_type):
            contents.append(_delimited(attachment, head))
        elif attachment.data or attachment.uri:
            contents += [f"--- {head}, attached ---", attachment]
        else:
            why = "too large to send" if _limit(attachment.mime_type) else "content not sent"
            contents.append(f"--- {head}, {why} ---")
    return contents


def text_of(attachment: Attachment) -> str:
    """Return the sent part of a text file; replace bytes that are not UTF-8."""
    is_whole = len(attachment.data) == attachment.size
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    return decoder.decode(attachment.data, final=is_whole)


def _delimited(attachment: Attachment, head: str) -> str:
    sent, size = len(attachment.data), attachment.size
    cut = "" if sent == size else f", CUT: only the first {sent} bytes follow"
    # The id is drawn when the file arrives, so no text can hold its own end.
    end = f"--- end of file {attachment.id} ---"
    return f"--- {head}{cut} ---\n{text_of(attachment)}\n{end}"


def _described(attachment: Attachment) -> str:
    name = json.dumps(attachment.name, ensure_ascii=False)
    return f"{name} ({attachment.mime_type}, {attachment.size} bytes)"
