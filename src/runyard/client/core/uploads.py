"""Upload files: small ones to the API, large ones to S3 with a presigned POST."""

from runyard.client.core.bodies import File, FileSource, Multipart
from runyard.client.core.effects import Call, Request
from runyard.client.core.requests import call, call_json, exchange, make_request
from runyard.client.models import StoredFile

MAX_DIRECT_BYTES = 4 * 1024 * 1024
"""API Gateway and Lambda accept a little more."""


def upload(source: FileSource) -> Call[StoredFile]:
    """Store a file; return it."""
    file = File.of(source)
    if file.size <= MAX_DIRECT_BYTES:
        answer = yield from call(make_request("POST", "/v1/files", body=Multipart(file)))
        return StoredFile.parse(answer["data"])
    body = {"name": file.name, "size": file.size, "mime_type": file.mime_type}
    answer = yield from call_json("POST", "/v1/files", body=body)
    presigned = answer["data"]["upload"]
    form = Multipart(file, presigned["fields"])
    headers = {"Content-Type": form.content_type}
    # The same POST again stores the same object again.
    yield from exchange(
        Request("POST", presigned["url"], headers=headers, body=form, has_credentials=False)
    )
    return StoredFile.parse(answer["data"])
