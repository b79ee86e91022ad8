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

from runyard_dev.emulators.tool_cache import cache_dir, npm_pack, pip_environment
from runyard_dev.errors import ToolUnavailableError

VERSION = "1.2.1"
MINISTACK = "ministack==1.5.33"

# The digests that npm publishes for this version. An archive with another digest is rejected.
_INTEGRITY = {
    "linux-x64": "sha512-sBHqlxJ9ANkLluFkYRfd5r8Y0ApFew4FhOrlhgRAgD4X"
    "zEoFOukEo1nuBTQ1+jTtofqwn4NWQ2k0Tn5mNTjgUg==",
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
    """Return the path of the dynoxide binary, from the cache or from npm."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), platform.system())
    target = f"{system}-{_ARCHITECTURES.get(platform.machine().lower(), platform.machine())}"
    binary = cache_dir() / f"dynoxide-{VERSION}-{target}"
    if binary.exists():
        return binary
    report(f"fetching dynoxide {VERSION} for {target} from npm into {binary.parent}")
    with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
        archive = npm_pack(f"@dynoxide/{target}@{VERSION}", Path(folder))
        _check_integrity(archive, target)
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/dynoxide")
            if member is None:
                raise ToolUnavailableError(f"{archive.name} holds no dynoxide")
            unpacked = Path(folder) / "dynoxide"
            with member, unpacked.open("wb") as file:
                shutil.copyfileobj(member, file)
        unpacked.chmod(0o755)
        unpacked.replace(binary)  # Atomic: another start may look for the file at the same time.
    return binary


def _check_integrity(archive: Path, target: str) -> None:
    expected = _INTEGRITY.get(target)
    if expected is None:
        # npm has compared the archive with the digest in its index.
        return
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != expected:
        raise ToolUnavailableError(f"{archive.name} is not the archive that was expected")


def ministack(port: int, data_dir: Path) -> DynamoDb:
    """Return ministack's DynamoDB; install it at the first use. Raise ToolUnavailableError."""
    python = pip_environment(MINISTACK)
    return DynamoDb(
        f"{MINISTACK.replace('==', ' ')}, {data_dir / 'ministack'}",
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
        print(f"dynoxide cannot be had here ({error}); the local stack will take {MINISTACK}")
        sys.exit(0)
