"""Test how the local stack gets its DynamoDB emulator if the first choice is unavailable."""

from pathlib import Path

import pytest

from runyard_dev.emulators import dynoxide
from runyard_dev.errors import ToolUnavailableError


def test_an_endpoint_named_by_the_user_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DYNAMODB_ENDPOINT", "http://127.0.0.1:8000")
    found = dynoxide.locate(1, tmp_path)
    assert found.endpoint == "http://127.0.0.1:8000"
    assert not found.command


def test_an_archive_with_another_digest_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forged(_: str, folder: Path) -> Path:
        archive = folder / "forged.tgz"
        archive.write_bytes(b"not what was published")
        return archive

    monkeypatch.setenv("RUNYARD_TOOLS_DIR", str(tmp_path))
    monkeypatch.setattr(dynoxide, "npm_pack", forged)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(ToolUnavailableError, match="not the archive"):
        dynoxide.fetch()
    assert not list(tmp_path.iterdir())


def test_ministack_is_used_if_dynoxide_is_not_available(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unavailable(_: object) -> Path:
        raise ToolUnavailableError("no npm")

    lines: list[str] = []
    monkeypatch.setattr(dynoxide, "fetch", unavailable)
    monkeypatch.setattr(dynoxide, "pip_environment", lambda _: Path("/venv/bin/python"))
    found = dynoxide.locate(4711, tmp_path, lines.append)
    assert found.command == ("/venv/bin/python", "-m", "ministack.app")
    assert found.environment["GATEWAY_PORT"] == "4711"
    assert "clean stop" in found.note
    assert "ministack" in lines[0]
