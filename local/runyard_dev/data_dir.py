"""The data folder of a local stack. One stack at a time uses a folder."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from runyard_dev.errors import DataDirInUseError, LocalStackError

STATE_FILE = "stack.json"
URL_FILE = "url"


def chosen_data_dir() -> Path:
    """Return the folder that `DATA_DIR` names, or else `.runyard`."""
    return Path(os.environ.get("DATA_DIR") or ".runyard")


def lock(data_dir: Path) -> IO[str]:
    """Lock the data folder. The kernel releases the lock when this process ends."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        data_dir.chmod(0o700)  # Logs, runs and keys are in it.
        (data_dir / "logs").mkdir(exist_ok=True)
        file = (data_dir / "lock").open("w")
    except OSError as error:
        raise LocalStackError(f"{data_dir} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DataDirInUseError(f"{data_dir} is in use by another local stack") from None
    return file


def read_state(data_dir: Path) -> dict[str, str]:
    """Return what the last start of a stack wrote; empty if there was none."""
    file = data_dir / STATE_FILE
    state: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return state


def write_state(data_dir: Path, environment: Mapping[str, str]) -> None:
    """Write what other commands need to find the stack: `open_store`, `sam_env`."""
    names = (
        *("EVENTS_TABLE", "RECORDS_TABLE", "BUCKET", "TICKET_SECRET_ID"),
        *("RUN_STATE_MACHINE_ARN", "RESUME_STATE_MACHINE_ARN"),
        *("AGENTS_DIR", "AGENT_VARIABLES", "HTTP_ALLOWED_PRIVATE_HOSTS"),
    )
    notes = {
        name: value
        for name, value in environment.items()
        if name in names or name.startswith("AWS_")
    }
    file = data_dir / STATE_FILE
    file.touch(mode=0o600)  # The user's own AWS credentials may be among them.
    file.write_text(json.dumps(notes), encoding="utf-8")


def write_url(data_dir: Path, url: str) -> None:
    """Write the URL of the API, which clients in the folder above use by default."""
    (data_dir / URL_FILE).write_text(url + "\n", encoding="utf-8")
