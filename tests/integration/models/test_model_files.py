"""Test files of a run in model requests: scripted model, OpenAI protocol, Bedrock protocol."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.attachments import for_provider
from runyard_service.agents.models.base import Attachment, ModelRequest, UserMessage
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.domain.ids import new_id
from tests.support.servers.bedrock_server import BedrockServer, ConverseResponse
from tests.support.servers.model_requests import response_of
from tests.support.servers.openai_server import ChatResponse, OpenAIServer
from tests.support.service import Service

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

AGENT = """
key: {key}
version: "1"
instructions: Read the files.
route: {key}
input_schema: {{ type: object, properties: {{ ask: {{ type: string }} }}, required: [ask] }}
"""
SCRIPT = """
dialogues:
  - name: none
    when: { files.0.name: { exists: false } }
    turns: [{ say: No files. }]
  - name: some
    when: { files.0.name: notes.txt }
    turns:
      - say: "{{ files.0.name }} {{ files.0.mime_type }} {{ files.0.size }} {{ files.0.text }}, \
{{ files.1.name }} {{ files.1.mime_type }} {{ files.1.shown }}"
"""


def agent_on(stack: DevStack, stores: Stores, project: str, route: dict[str, Any]) -> Service:
    """Yield a service whose runs use an agent of this project on this route."""
    folder, key = Path(stack.environment["AGENTS_DIR"]), project.replace("-", "_")
    with (folder / "routes.yaml").open("a", encoding="utf-8") as routes:
        routes.write(f"\n{key}: {json.dumps(route)}\n")
    (folder / f"{key}.yaml").write_text(AGENT.format(key=key), encoding="utf-8")
    stores.access_keys.save(f"ry_{project}", project_id=project, org_id=project, agent=key)
    return Service(stack.base_url, f"ry_{project}")


def create_with_files(service: Service) -> dict[str, Any]:
    response = service.http.post(
        "/v1/runs",
        data={"input": '{"ask": "What is this?"}'},
        files=[
            ("files", ("notes.txt", b"Some words.", "application/octet-stream")),
            ("files", ("photo.txt", PNG, "text/plain")),
        ],
    )
    assert response.status_code == 200, response.text
    service.close()
    return response.json()["data"]  # type: ignore[no-any-return]


def test_a_scripted_model_sees_the_files(stack: DevStack, stores: Stores) -> None:
    project = f"files-{new_id()}"
    script = Path(stack.environment["AGENTS_DIR"]) / "scripts" / f"{project}.yaml"
    script.write_text(SCRIPT, encoding="utf-8")
    service = agent_on(stack, stores, project, {"model": f"scripted:{project}"})
    assert service.create({"ask": "?"})["output"] == {"content": "No files."}
    run = create_with_files(service)
    said = f"notes.txt text/plain 11 Some words., photo.txt image/png {len(PNG)}"
    assert run["output"] == {"content": said}


def test_text_and_image_reach_the_provider_at_every_step(stack: DevStack, stores: Stores) -> None:
    project = f"files-{new_id()}"
    with OpenAIServer(ChatResponse(text=["A photo."])) as server:
        route = {"model": "openai:some-model", "base_url": server.base_url}
        run = create_with_files(agent_on(stack, stores, project, route))
        assert run["output"] == {"content": "A photo."}
        content = server.received[0].json["messages"][1]["content"]
    texts = [part["text"] for part in content if part["type"] == "text"]
    assert '"What is this?"' in texts[0]
    assert "notes.txt" in texts[1]
    assert "\nSome words.\n" in texts[1]
    assert "photo.txt" in texts[2]
    images = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    assert images == ["data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="]


PDF = b"%PDF-1.7 "
WITH_FILES = ModelRequest(
    "Be brief.",
    [
        UserMessage(
            "Look.",
            (
                Attachment("id-1", "a.png", "image/png", len(PNG), PNG),
                Attachment("id-2", "a.pdf", "application/pdf", len(PDF), PDF),
                Attachment("id-3", "a.csv", "text/csv", 3, b"a,b"),
            ),
        )
    ],
)
WORDS = [
    "Look.",
    '--- file id-1: "a.png" (image/png, 16 bytes), attached ---',
    '--- file id-2: "a.pdf" (application/pdf, 9 bytes), attached ---',
    '--- file id-3: "a.csv" (text/csv, 3 bytes) ---\na,b\n--- end of file id-3 ---',
]


def encoded(request: ModelRequest) -> ModelRequest:
    (turn,) = request.messages
    assert isinstance(turn, UserMessage)
    files = [for_provider(file, "openai") for file in turn.attachments]
    # Not a second time as bytes.
    assert [bool(file.data) for file in files] == [False, False, True]
    return replace(request, messages=[replace(turn, attachments=files)])


@pytest.mark.parametrize("request_", [WITH_FILES, encoded(WITH_FILES)], ids=["bytes", "data URIs"])
def test_openai_gets_images_and_pdfs_as_its_own_attachments(request_: ModelRequest) -> None:
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        response_of(ProviderModel(Route(model="openai:m", base_url=server.base_url)), request_)
        content = server.received[0].json["messages"][1]["content"]
    assert [part["text"] for part in content if part["type"] == "text"] == WORDS
    assert [part["type"] for part in content] == [
        "text",
        "text",
        "image_url",
        "text",
        "file",
        "text",
    ]
    text = base64.b64encode(PDF).decode()
    assert content[4]["file"] == {
        "file_data": f"data:application/pdf;base64,{text}",
        "filename": "filename.pdf",
    }
    text = base64.b64encode(PNG).decode()
    assert content[2]["image_url"] == {"url": f"data:image/png;base64,{text}"}


def test_bedrock_gets_images_and_pdfs_as_its_own_attachments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "loopback")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "loopback")
    with BedrockServer(ConverseResponse(text=["a"])) as server:
        model = "bedrock:eu.anthropic.claude-haiku-4-5-20251001-v1:0"
        route = Route(model=model, base_url=server.url, region="eu-central-1")
        response_of(ProviderModel(route), WITH_FILES)
        content = server.received[0].json["messages"][0]["content"]
    assert [part["text"] for part in content if "text" in part] == WORDS
    (image,) = [part["image"] for part in content if "image" in part]
    assert (image["format"], base64.b64decode(image["source"]["bytes"])) == ("png", PNG)
    (document,) = [part["document"] for part in content if "document" in part]
    assert (document["format"], base64.b64decode(document["source"]["bytes"])) == ("pdf", PDF)
