"""Files over HTTP: in a create, separately, directly to S3; and rejected requests."""

import json
from typing import Any

import httpx
import pytest

from runyard_service.domain.ids import new_id, parse_id
from tests.e2e.test_errors import assert_error
from tests.support.service import Service

TICKET = {"ticket_subject": "Export is broken"}
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
Parts = list[tuple[str, tuple[str, bytes, str]]]
# The parts of `POST /v1/runs`.
PARTS = "agent, background, files, input, session_id, stream, user_id"


def files(count: int) -> Parts:
    return [("files", (f"{number}.txt", b"words", "text/plain")) for number in range(count)]


def announce(service: Service, content: bytes, **changes: Any) -> dict[str, Any]:
    """Announce a file; return it before its upload."""
    body = {"name": "notes.txt", "size": len(content), "mime_type": "text/plain", **changes}
    response = service.http.post("/v1/files", json=body)
    assert response.status_code == 200, response.text
    return response.json()["data"]  # type: ignore[no-any-return]


def upload(file: dict[str, Any], content: bytes) -> httpx.Response:
    """Upload without a key, as any HTTP client: first the unchanged fields, then the file."""
    way = file["upload"]
    return httpx.post(way["url"], data=way["fields"], files={"file": content}, timeout=60)


@pytest.mark.parametrize("fields", [{}, {"user_id": "u-1", "session_id": new_id()}])
def test_a_run_is_created_with_the_files_of_the_request(
    service: Service, fields: dict[str, str]
) -> None:
    response = service.http.post(
        "/v1/runs",
        data={"input": json.dumps(TICKET), **fields},
        files=[*files(1), ("files", ("photo.png", PNG, "image/png"))],
    )
    assert response.status_code == 200, response.text
    run = response.json()["data"]
    assert (run["status"], run["input"]) == ("completed", TICKET)
    assert fields.items() <= run.items()


def test_the_modes_are_sent_as_text_parts(service: Service) -> None:
    texts = {"input": json.dumps(TICKET)}
    accepted = service.http.post(
        "/v1/runs", data={**texts, "background": "true", "stream": "false"}, files=files(1)
    )
    assert (accepted.status_code, accepted.json()["data"]["status"]) == (202, "created")
    streamed = service.http.post("/v1/runs", data={**texts, "stream": "true"}, files=files(1))
    assert "event: run.completed" in streamed.text


def test_a_browser_may_send_the_input_as_a_blob(service: Service) -> None:
    blob = ("input", ("blob", json.dumps(TICKET).encode(), "application/json"))
    response = service.http.post("/v1/runs", files=[blob, *files(1)])
    assert (response.status_code, response.json()["data"]["input"]) == (200, TICKET)


@pytest.mark.parametrize(
    ("texts", "details"),
    [
        ({}, {"input": "cannot be blank"}),
        ({"input": "{}"}, {"input": "cannot be blank"}),
        ({"input": "null"}, {"input": "cannot be blank"}),
        ({"input": "{"}, {"input": "is not valid JSON"}),
        ({"input": '{"x": "\\ud800"}'}, {"input": "contains an unpaired surrogate"}),
        (
            {"colour": "red"},
            {
                "input": "cannot be blank",
                "colour": f"is not a known field; known: {PARTS}",
            },
        ),
        ({"input": '{"x": 1}'}, {"input.ticket_subject": "is required"}),
        ({"input": TICKET, "session_id": "x"}, {"session_id": "must be a UUID"}),
        ({"input": TICKET, "background": "yes"}, {"background": "must be true or false"}),
        (
            {"input": TICKET, "background": "true", "stream": "true"},
            {"stream": "cannot be true together with background"},
        ),
        (
            {"input": TICKET, "file_ids": "[]"},
            {"file_ids": f"is not a known field; known: {PARTS}; did you mean 'files'?"},
        ),
        ({"input": TICKET, "files": "x"}, {"files": "must be a file"}),
        ({"input": TICKET, "user_id": ["a", "b"]}, {"user_id": "must appear only once"}),
    ],
)
def test_invalid_parts_have_the_same_errors_as_in_json(
    service: Service, texts: dict[str, Any], details: dict[str, str]
) -> None:
    data = {name: json.dumps(text) if text is TICKET else text for name, text in texts.items()}
    if details.get("input.ticket_subject"):
        unknown = "is not a known field; known: customer_id, ticket_body, ticket_subject"
        details = {**details, "input.x": unknown}
    response = service.http.post("/v1/runs", data=data, files=files(1))
    assert_error(response, 400, "bad_request", details)


def test_a_run_accepts_twenty_files(service: Service) -> None:
    texts = {"input": json.dumps(TICKET)}
    assert service.http.post("/v1/runs", data=texts, files=files(20)).status_code == 200
    assert_error(
        service.http.post("/v1/runs", data=texts, files=files(21)),
        400,
        "bad_request",
        {"files": "must have at most 20 items"},
    )
    assert_error(
        service.http.post("/v1/runs", json={"input": TICKET, "file_ids": [new_id()] * 21}),
        400,
        "bad_request",
        {"file_ids": "must have at most 20 items"},
    )


PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx'


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"nonsense"),
        ("multipart/form-data; boundary=b", PART),
        ("multipart/form-data; boundary=b", PART + b"\r\n--b"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", PART.replace(b"name=", b"nome=") + b"\r\n--b--"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/runs", "/v1/files"])
def test_an_invalid_multipart_body_is_rejected_with_an_api_error(
    service: Service, path: str, content_type: str, content: bytes
) -> None:
    response = service.http.post(path, content=content, headers={"content-type": content_type})
    details = {"body": "is not valid multipart/form-data"}
    assert_error(response, 400, "bad_request", details)


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/files"])
def test_a_body_with_a_wrong_charset_is_rejected(service: Service, path: str) -> None:
    # Python before 3.13 cannot read this text; later versions accept it unchanged.
    content = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nxn--' + b"z" * 80
    headers = {"content-type": "multipart/form-data; boundary=b; charset=idna"}
    response = service.http.post(path, content=content + b"\r\n--b--", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_request")


def test_a_file_is_stored_with_a_safe_name_and_its_real_type(service: Service) -> None:
    part = {"file": ("../photo\u202e.txt", PNG, "text/plain")}
    response = service.http.post("/v1/files", files=part)
    assert response.status_code == 200
    file = response.json()["data"]
    expected = {"name": "photo.txt", "size": len(PNG), "mime_type": "image/png"}
    assert file == {"id": file["id"], **expected}
    run = service.create(TICKET, file_ids=[file["id"], file["id"]])
    assert run["status"] == "completed"


@pytest.mark.parametrize(
    ("texts", "parts", "details"),
    [
        ({"a": "b"}, [], {"a": "is not a known field; known: file", "file": "is required"}),
        ({"file": "text"}, [], {"file": "must be a file"}),
        ({}, [("file", ("a", b"a", "text/plain"))] * 2, {"file": "must appear only once"}),
    ],
)
def test_an_upload_contains_exactly_one_file(
    service: Service, texts: dict[str, str], parts: Parts, details: dict[str, str]
) -> None:
    fields = [(name, (None, text.encode(), "text/plain")) for name, text in texts.items()]
    response = service.http.post("/v1/files", files=[*fields, *parts])
    assert_error(response, 400, "bad_request", details)


def test_an_empty_file_field_of_a_form_is_ignored(service: Service) -> None:
    content = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--b--\r\n'
    )
    response = service.http.post(
        "/v1/files", content=content, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert_error(response, 400, "bad_request", {"file": "is required"})


@pytest.mark.parametrize(
    ("changes", "details"),
    [
        ({"name": ""}, {"name": "cannot be blank"}),
        ({"size": -1}, {"size": "must be at least 0"}),
        ({"size": 134217729}, {"size": "must be at most 134217728"}),
        ({"size": 5.5}, {"size": "must be an integer"}),
        ({"mime_type": "text"}, {"mime_type": "must be a media type, such as text/plain"}),
        ({"colour": 1}, {"colour": "is not a known field; known: mime_type, name, size"}),
    ],
)
def test_the_error_of_an_invalid_announcement_names_its_fields(
    service: Service, changes: dict[str, Any], details: dict[str, str]
) -> None:
    body = {"name": "a.txt", "size": 5, "mime_type": "text/plain", **changes}
    assert_error(service.http.post("/v1/files", json=body), 400, "bad_request", details)


def test_a_file_is_uploaded_directly_to_s3_and_used_by_a_run(service: Service) -> None:
    file = announce(service, b"words", size=5.0)  # In JSON, 5.0 is an integer.
    assert set(file) == {"id", "name", "size", "mime_type", "upload"}
    body = {"input": TICKET, "file_ids": [file["id"]]}
    assert_error(
        service.http.post("/v1/runs", json=body),
        400,
        "bad_request",
        {"file_ids.0": "has not been uploaded"},
    )
    assert upload(file, b"words").status_code in (200, 201, 204)
    for _ in range(2):  # The first use changes the state of the file.
        assert service.create(TICKET, file_ids=[file["id"]])["status"] == "completed"


@pytest.mark.parametrize("content", [b"word", b"words!"])
def test_an_upload_of_another_size_is_rejected(service: Service, content: bytes) -> None:
    file = announce(service, b"words")
    # S3 rejects it by the policy. moto does not check policies, so the first use rejects it.
    accepted = upload(file, content).is_success
    response = service.http.post("/v1/runs", json={"input": TICKET, "file_ids": [file["id"]]})
    error = f"size mismatch: {len(content)} bytes uploaded, 5 declared"
    if not accepted:
        error = "has not been uploaded"
    assert_error(response, 400, "bad_request", {"file_ids.0": error})


@pytest.mark.parametrize(
    "file_id", ["00000000-0000-4000-8000-000000000000", "nonsense", "", "../x"]
)
def test_an_unknown_file_is_named_by_its_position(service: Service, file_id: str) -> None:
    known = service.http.post("/v1/files", files={"file": ("a", b"a")}).json()["data"]["id"]
    response = service.http.post(
        "/v1/runs", json={"input": TICKET, "file_ids": [known, file_id, known, file_id]}
    )
    error = "is not a file of this project" if parse_id(file_id) else "must be a UUID"
    assert_error(response, 400, "bad_request", {"file_ids.1": error, "file_ids.3": error})


def test_the_same_create_with_an_idempotency_key_starts_one_run(service: Service) -> None:
    def create(content: bytes) -> httpx.Response:
        return service.http.post(
            "/v1/runs",
            data={"input": json.dumps(TICKET)},
            files={"files": ("a.txt", content, "text/plain")},
            headers={"Idempotency-Key": key},
        )

    key = new_id()
    first, again = create(b"words"), create(b"words")
    assert first.json()["data"]["id"] == again.json()["data"]["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert create(b"other").status_code == 409
