"""The command line works if its output cannot encode every character."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOTS = ("src", "local", "layers/core")
ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]
# The arrow is in no 8-bit encoding, and `é` is not in ASCII.
COMMANDS = [
    (("agents", "check", "{folder}"), 1),
    (("keys", "create", "--project", "p", "--agent", "é→"), 2),
    (("keys", "create", "--project", "p", "--user-name", "é→", "--table", "{folder}"), 1),
    (("verify", "{folder}/export"), 1),
    (("dev", "--agents-dir", "{folder}"), 1),
]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=["output", "locale"])
def test_no_command_fails_because_of_the_encoding(encoding: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "é→"
    folder.mkdir()
    (folder / "bad.yaml").write_text('key: "é→"\n', encoding="utf-8")
    (folder / "export").write_text('{"é→": \n', encoding="utf-8")
    python_path = os.pathsep.join(str(Path(each).absolute()) for each in ROOTS)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **encoding,
        "PYTHONPATH": python_path,
        "DATA_DIR": str(folder / "data"),
        "AGENTS_DIR": "agents",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
    }
    for words, exit_code in COMMANDS:
        command = [word.format(folder=folder) for word in words]
        done = subprocess.run(
            [sys.executable, "-m", "runyard", *command],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert b"Traceback" not in done.stderr, (command, done.stderr)
        assert done.returncode == exit_code, (command, done.stderr)
