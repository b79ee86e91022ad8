"""Test how the local stack gets its DynamoDB emulator if the first choice is unavailable."""

import base64
import hashlib
import io
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from runyard_dev.emulators import dynoxide, tool_cache
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


def _published(monkeypatch: pytest.MonkeyPatch, cache: Path, *, known: bool) -> list[str]:
    """Let npm publish a small binary, with or without a digest of ours; return the downloads."""
    content, downloads = b"a binary", list[str]()

    def pack(package: str, folder: Path) -> Path:
        downloads.append(package)
        archive = folder / "archive.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            member = tarfile.TarInfo("package/dynoxide")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        binary = hashlib.sha256(content).hexdigest()
        found = {"linux-arm64": dynoxide.Digests(f"sha512-{digest}", binary)} if known else {}
        monkeypatch.setattr(dynoxide, "DIGESTS", found)
        return archive

    monkeypatch.setenv("RUNYARD_TOOLS_DIR", str(cache))
    monkeypatch.setattr(dynoxide, "npm_pack", pack)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    return downloads


@pytest.mark.parametrize("known", [True, False], ids=["our digest", "the first download"])
def test_the_cached_binary_is_checked_at_each_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known: bool
) -> None:
    downloads, lines = _published(monkeypatch, tmp_path, known=known), list[str]()
    binary = dynoxide.fetch(lines.append)
    assert dynoxide.fetch(lines.append) == binary
    assert len(downloads) == 1
    binary.write_bytes(b"another binary")
    assert dynoxide.fetch(lines.append).read_bytes() == b"a binary"
    assert len(downloads) == 2
    assert any("is not the file that was downloaded" in line for line in lines)


def test_a_cached_binary_without_a_digest_is_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    downloads = _published(monkeypatch, tmp_path, known=False)
    binary = dynoxide.fetch(lambda _: None)
    next(tmp_path.glob("*.sha256")).unlink()
    dynoxide.fetch(lambda _: None)
    assert len(downloads) == 2
    assert binary.exists()


def _write_wheel(folder: Path) -> str:
    """Write a wheel without code; return its SHA-256 digest."""
    wheel = folder / "nothing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as files:
        info = "nothing-1.dist-info"
        files.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1\n")
        files.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        files.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_a_package_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    digest, lock = _write_wheel(tmp_path), tmp_path / "lock.txt"
    options = ("--no-index", "--find-links", str(tmp_path), "--target", str(tmp_path / "target"))
    lock.write_text(f"nothing==1 --hash=sha256:{digest[::-1]}\n", encoding="utf-8")
    with pytest.raises(ToolUnavailableError, match="pip install"):
        tool_cache.pip_install(lock, Path(sys.executable), *options)
    assert not (tmp_path / "target").exists()
    lock.write_text(f"nothing==1 --hash=sha256:{digest}\n", encoding="utf-8")
    tool_cache.pip_install(lock, Path(sys.executable), *options)
    assert (tmp_path / "target" / "nothing-1.dist-info").exists()


@pytest.mark.parametrize("lock", [tool_cache.MINISTACK, tool_cache.NPM])
def test_every_package_of_a_lock_file_has_a_hash(lock: Path) -> None:
    packages = re.split(r"^(?=\w)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert packages
    assert [each for each in packages if "--hash=sha256:" not in each] == []


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
