"""nginx as Debian configures it, as a proxy of a service: a client receives buffered data late.

Only paths that an ordinary user cannot write are changed: process id, logs and folders.
"""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_INSTALLED = Path("/etc/nginx/nginx.conf")
_MOVED = r"^\s*(user|pid|error_log|access_log|include\s+/etc/nginx/(modules|sites|conf)\S*)\s?.*;$"
_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_SITE = """
  {folders}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {upstream}; }}
  }}
"""


def why_not() -> str:
    """Return what to install before nginx can run here, or an empty string."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") and _INSTALLED.exists():
        return ""
    return "needs Debian's package nginx"


@contextmanager
def nginx(upstream: str, folder: Path) -> Iterator[str]:
    """Run nginx as a proxy of `upstream` during the block; yield its URL."""
    port = _free_port()
    file = folder / "nginx.conf"
    file.write_text(_configuration(upstream, port))
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert program
    errors = folder / "error.log"
    command = [program, "-p", str(folder), "-c", str(file), "-e", str(errors)]
    with subprocess.Popen([*command, "-g", "daemon off;"], stdin=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process, errors)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _configuration(upstream: str, port: int) -> str:
    http_config = re.sub(_MOVED, "", _INSTALLED.read_text(), flags=re.MULTILINE)
    folders = "\n  ".join(f"{name}_temp_path {name};" for name in _FOLDERS)
    site = _SITE.format(folders=folders, port=port, upstream=upstream)
    head, _, rest = http_config.partition("http {")
    return f"pid nginx.pid;\n{head}http {{\n  access_log off;\n{site}{rest}"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", errors: Path) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < until, "nginx does not answer"
            time.sleep(0.02)
        else:
            return
