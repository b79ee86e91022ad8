"""Find or download the DynamoDB emulator: dynoxide, a Rust binary on SQLite.

The local stack uses the first of these that is available: an endpoint that the user names
(`DYNAMODB_ENDPOINT`), dynoxide from npm, or ministack's DynamoDB from PyPI.
`python -m runyard_dev.emulators.dynoxide` downloads dynoxide in advance.
"""

import base64
import hashlib
import os
import platform
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runyard_dev.emulators.tool_cache import MINISTACK, cache_dir, npm_pack, pip_environment
from runyard_dev.errors import ToolUnavailableError

VERSION = "1.2.1"


@dataclass(frozen=True)
class Digests:
    """The digests of a platform: of npm's archive, as npm states it, and of the binary in it."""

    archive: str
    binary: str


# By platform. `npm view @dynoxide/PLATFORM@VERSION dist.integrity` prints the digest of an archive.
# A platform that is not here has no digest of ours: npm checks its archive, and the digest of its
# binary is stored at the first download.
DIGESTS = {
    "linux-x64": Digests(
        archive="sha512-sBHqlxJ9ANkLluFkYRfd5r8Y0ApFew4FhOrlhgRAgD4X"
        "zEoFOukEo1nuBTQ1+jTtofqwn4NWQ2k0Tn5mNTjgUg==",
        binary="be909b7910d3fb552e85db10ef3c8ebae4bd35fee0f26dffdb6dfa5cc656426e",
    ),
}
_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class DynamoDb:
    """The DynamoDB of the local stack: a process to start, or an endpoint of the user."""

    description: str
    endpoint: str | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def locate(port: int, data_dir: Path, report: Callable[[str], None] = print) -> DynamoDb:
    """Return the emulator; download it at the first use. Raise ToolUnavailableError."""
    if endpoint := os.environ.get("DYNAMODB_ENDPOINT"):
        return DynamoDb(f"your own, {endpoint}", endpoint=endpoint)
    try:
        binary = fetch(report)
    except ToolUnavailableError as exc:
        report(f"dynoxide cannot be had here ({exc}); taking ministack's DynamoDB")
        return ministack(port, data_dir)
    database = data_dir / "dynamodb.sqlite"
    arguments = ("serve", "--host", "127.0.0.1", "--port", str(port), "--db-path", str(database))
    return DynamoDb(f"dynoxide {VERSION}, {database}", command=(str(binary), *arguments))


def fetch(report: Callable[[str], None] = print) -> Path:
    """Return the dynoxide binary, from the cache or from npm. Each call checks its digest."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), platform.system())
    target = f"{system}-{_ARCHITECTURES.get(platform.machine().lower(), platform.machine())}"
    binary = cache_dir() / f"dynoxide-{VERSION}-{target}"
    if binary.exists():
        if _is_expected(binary, target):
            return binary
        report(f"{binary} is not the file that was downloaded; it is replaced")
    report(f"fetching dynoxide {VERSION} for {target} from npm into {binary.parent}")
    with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
        archive = npm_pack(f"@dynoxide/{target}@{VERSION}", Path(folder))
        _check_archive(archive, target)
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/dynoxide")
            if member is None:
                raise ToolUnavailableError(f"{archive.name} has no dynoxide")
            unpacked = Path(folder) / "dynoxide"
            with member, unpacked.open("wb") as file:
                shutil.copyfileobj(member, file)
        unpacked.chmod(0o755)
        _digest_file(binary).write_text(_digest(unpacked), encoding="utf-8")
        unpacked.replace(binary)  # Atomic: another start may look for the file at the same time.
    return binary


def _is_expected(binary: Path, target: str) -> bool:
    """Return whether the cached binary has its digest: ours, or else that of the download."""
    stored = _digest_file(binary)
    if known := DIGESTS.get(target):
        return _digest(binary) == known.binary
    return stored.exists() and _digest(binary) == stored.read_text(encoding="utf-8")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _digest_file(binary: Path) -> Path:
    return binary.with_name(f"{binary.name}.sha256")


def _check_archive(archive: Path, target: str) -> None:
    known = DIGESTS.get(target)
    if known is None:
        return
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != known.archive:
        raise ToolUnavailableError(f"{archive.name} is not the archive that was expected")


def ministack(port: int, data_dir: Path) -> DynamoDb:
    """Return ministack's DynamoDB; install it at the first use. Raise ToolUnavailableError."""
    python = pip_environment(MINISTACK)
    return DynamoDb(
        f"ministack, {data_dir / 'ministack'}",
        command=(str(python), "-m", "ministack.app"),
        environment={
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "SERVICES": "dynamodb",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(data_dir / "ministack"),
        },
        note="data survives only a clean stop",
    )


if __name__ == "__main__":
    try:
        print(fetch())
    except ToolUnavailableError as error:
        print(f"dynoxide cannot be had here ({error}); the local stack will take ministack")
        sys.exit(0)
