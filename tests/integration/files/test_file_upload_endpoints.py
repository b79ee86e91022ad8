"""Test files at the API: bodies over the limit, rejected creates, and 128 MiB."""

import io
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.files import MAX_FILE_BYTES, NewFile, Upload
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.app_server import app_with, make_services
from tests.support.service import Service

MIB = 1024 * 1024


def post(upload: Upload, content: bytes) -> None:
    response = httpx.post(upload.url, data=upload.fields, files={"file": content}, timeout=60)
    assert response.is_success, response.text


def contents(stack: DevStack, project: str) -> dict[str, int]:
    """Return the keys and sizes of the project's objects."""
    found: dict[str, int] = {}
    for folder in ("files", "uploads"):
        prefix = f"{folder}/{project}/"
        answer = stack.client("s3").list_objects_v2(
            Bucket=stack.environment["BUCKET"], Prefix=prefix
        )
        found |= {entry["Key"]: entry["Size"] for entry in answer.get("Contents", [])}
    return found


@pytest.fixture
def project(stores: Stores) -> str:
    """Create a project and a key with its name; return the name."""
    name = f"files-{new_id()}"
    stores.access_keys.save(f"ry_{name}", project_id=name, org_id=name)
    return name


def api_client(stack: DevStack, stores: Stores, project: str, max_body_bytes: int) -> TestClient:
    services = replace(make_services(stack, max_body_bytes=max_body_bytes), stores=stores)
    headers = {"Authorization": f"Bearer ry_{project}"}
    return TestClient(app_with(services), headers=headers)


def test_the_error_for_a_body_over_the_limit_names_the_upload_endpoint(
    stack: DevStack, stores: Stores, project: str
) -> None:
    texts, content = {"input": '{"ticket_subject": "x"}'}, b"x" * 100_000
    with api_client(stack, stores, project, 50_000) as client:
        for path, data, name in (("/v1/runs", texts, "files"), ("/v1/files", {}, "file")):
            response = client.post(path, data=data, files={name: ("a.txt", content)})
            error = response.json()["error"]
            assert (response.status_code, error["code"]) == (413, "payload_too_large")
            assert error["details"]["body"].startswith("must be at most 50000 bytes; ")
            for word in ("POST /v1/files", '"name", "size", "mime_type"', "file_ids", "134217728"):
                assert word in error["details"]["body"]
        # The same without a Content-Length header.
        chunks = (piece for piece in [b"--b\r\n", *[b"x" * 10_000] * 10])
        headers = {"content-type": "multipart/form-data; boundary=b"}
        assert client.post("/v1/files", content=chunks, headers=headers).status_code == 413
        # The upload that the error names is accepted.
        announced = client.post(
            "/v1/files", json={"name": "a.txt", "size": len(content), "mime_type": "text/plain"}
        ).json()["data"]
        post(Upload(**announced["upload"]), content)
        body = {"input": {"ticket_subject": "x"}, "file_ids": [announced["id"]]}
        assert client.post("/v1/runs", json=body).status_code in (200, 202)
    assert contents(stack, project)[f"files/{project}/{announced['id']}"] == len(content)


def test_a_rejected_create_leaves_no_file(stack: DevStack, stores: Stores, project: str) -> None:
    files = {"files": ("a.txt", b"words")}
    with api_client(stack, stores, project, MIB) as client:
        for run_input in ("{}", "{", '{"ticket_subject": ""}', '{"ticket_subject": "x", "y": 1}'):
            response = client.post("/v1/runs", data={"input": run_input}, files=files)
            assert response.status_code == 400
        assert contents(stack, project) == {}
        texts = {"input": '{"ticket_subject": "x"}'}
        assert client.post("/v1/runs", data=texts, files=files).status_code in (200, 202)
    assert list(contents(stack, project).values()) == [5]


def test_a_file_of_another_project_is_not_found(
    stack: DevStack, stores: Stores, project: str, service: Service
) -> None:
    file = stores.files.save("another-project", NewFile("a", None, io.BytesIO(b"words")))
    body = {"input": {"ticket_subject": "x"}, "file_ids": [file.id]}
    with api_client(stack, stores, project, MIB) as client:
        response = client.post("/v1/runs", json=body)
    assert response.status_code == 400
    details = {"file_ids.0": "is not a file of this project"}
    assert response.json()["error"]["details"] == details


def test_saving_files_requires_the_scope(stack: DevStack, stores: Stores) -> None:
    stores.access_keys.save(
        "ry_no_files", project_id="p", org_id="o", scopes=frozenset({"runs:write", "runs:read"})
    )
    headers = {"Authorization": "Bearer ry_no_files"}
    response = httpx.post(f"{stack.base_url}/v1/files", json={}, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


# --- 128 MiB -------------------------------------------------------------------------------------


def test_a_file_of_128_mib_is_uploaded_directly_to_s3(
    stack: DevStack, stores: Stores, project: str, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(b"\x00\x01\x02\x03" * (MAX_FILE_BYTES // 4))
    file, upload = stores.files.announce(project, large.name, MAX_FILE_BYTES, "application/x-own")
    with large.open("rb") as body:
        response = httpx.post(
            upload.url, data=upload.fields, files={"file": body}, timeout=60, trust_env=False
        )
    assert response.is_success, response.text
    service = Service(stack.base_url, f"ry_{project}")
    run = service.create({"ticket_subject": "x"}, file_ids=[file.id])
    service.close()
    assert run["status"] == "completed"
    assert stores.files.ready(project, file.id).size == MAX_FILE_BYTES


def test_a_create_with_128_mib_uses_bounded_memory(
    stack: DevStack, stores: Stores, project: str, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(b"\x00" * MAX_FILE_BYTES)
    headers = {"Authorization": f"Bearer ry_{project}"}
    with large.open("rb") as body:
        response = httpx.post(
            f"{stack.base_url}/v1/runs",
            data={"input": '{"ticket_subject": "x"}'},
            files={"files": ("large.bin", body)},
            headers=headers,
            timeout=60,
        )
    assert response.status_code == 200, response.text
    assert response.json()["data"]["status"] == "completed"
    assert peak_mib(stack.pid("web")) < 200, "the file was held in memory"
    assert list(contents(stack, project).values()) == [MAX_FILE_BYTES]
    with large.open("ab") as more:
        more.write(b"!")
    with large.open("rb") as body:
        response = httpx.post(
            f"{stack.base_url}/v1/files", files={"file": body}, headers=headers, timeout=60
        )
    assert response.status_code == 413
    assert "POST /v1/files" in response.json()["error"]["details"]["files"]


def peak_mib(pid: int) -> float:
    """Return the peak memory of the process in MiB."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("needs /proc")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize(
    "parameters",
    [
        "filename=\"=?utf-8?B?5paw5bu6LmRvY3g=?=\"; filename*=utf-8''%E6%96%B0%E5%BB%BA.docx",
        "filename*=utf-8''%E6%96%B0%E5%BB%BA.docx",
        'filename="=?utf-8?B?5paw5bu6LmRvY3g=?="',
        'filename="新建.docx"',
    ],
)
def test_the_name_is_decoded_and_decides_with_the_content(
    service: Service, parameters: str
) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; {parameters}\r\n\r\n'
    response = service.http.post(
        "/v1/files",
        content=head.encode() + b"PK\x03\x04rest\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert response.status_code == 200, response.text
    file = response.json()["data"]
    assert file["name"] == "新建.docx"
    assert file["mime_type"].endswith("wordprocessingml.document")
