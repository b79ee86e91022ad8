"""Kill the processes of the stack and its supervisor: no data and no processes are left over."""

import functools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_dev.errors import LocalStackError
from tests.integration.local_stack.test_dev_stack import (
    item,
    run,
    start,
    status,
    write_repository,
)
from tests.support.wait_until import wait_until


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Write a new repository."""
    return write_repository(tmp_path)


def test_everything_acknowledged_survives_kill_9(repository: Path) -> None:
    key = "a key/with ünicode & 'quotes'/" + "long" * 200
    with start(repository) as stack:
        bucket = stack.client("s3").list_buckets()["Buckets"][0]["Name"]
        s3 = stack.client("s3")
        s3.put_object(Bucket=bucket, Key=key, Body=b"stored", ContentType="text/plain")
        s3.put_object(Bucket=bucket, Key="gone", Body=b"x")
        s3.delete_object(Bucket=bucket, Key="gone")
        secret = stack.client("secretsmanager").get_secret_value(SecretId="runyard-ticket-secret")
        run(stack, "stored")
        token = wait_until(lambda: item(stack, "token#stored"))["token"]
        for part in ("dynamodb", "aws", "lambda"):
            stack.kill(part)
        for part in ("dynamodb", "lambda", "aws"):
            stack.restart(part)
        found = stack.client("s3").get_object(Bucket=bucket, Key=key)
        assert (found["Body"].read(), found["ContentType"]) == (b"stored", "text/plain")
        assert stack.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1
        again = stack.client("secretsmanager").get_secret_value(SecretId="runyard-ticket-secret")
        assert again["SecretString"] == secret["SecretString"]
        assert (item(stack, "token#stored") or {})["token"] == token
    with start(repository) as stack:
        assert stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b"stored"


def test_a_process_that_dies_is_restarted_with_its_data(repository: Path) -> None:
    lines: list[str] = []
    with start(repository, report=lines.append) as stack:
        before = stack.pid("aws")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: any("is back" in line for line in lines))
        assert stack.pid("aws") != before
        arn = run(stack, "after")
        wait_until(lambda: item(stack, "token#after"))
        os.kill(stack.pid("lambda"), signal.SIGKILL)
        second = run(stack, "meanwhile")  # Its first attempt fails; the retry succeeds.
        wait_until(lambda: item(stack, "token#meanwhile"))
        assert status(stack, arn) == status(stack, second) == "RUNNING"


def test_a_process_that_dies_repeatedly_stops_the_stack(repository: Path) -> None:
    with start(repository) as stack:
        for _ in range(3):
            pid = stack.pid("samples")
            os.kill(pid, signal.SIGKILL)
            wait_until(functools.partial(_has_reacted, stack, pid))
        with pytest.raises(LocalStackError, match="samples ended 3 times"):
            stack.wait()


def _has_reacted(stack: DevStack, pid: int) -> bool:
    return stack.pid("samples") != pid or stack._keeper.failed.is_set()


def test_a_second_stack_on_the_same_folder_is_rejected(repository: Path) -> None:
    with start(repository), pytest.raises(LocalStackError, match="in use by another"):
        start(repository)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_kill_9_of_the_supervisor_leaves_no_orphans(repository: Path) -> None:
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2]);"
        "import test_dev_stack as t; s = t.start(pathlib.Path(sys.argv[1]));"
        "print(*[s.pid(p) for p in ('dynamodb', 'aws', 'lambda', 'samples')], flush=True); s.wait()"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code, str(repository), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    pids = [int(pid) for pid in supervisor.stdout.readline().split()]
    assert len(pids) == 4
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    wait_until(lambda: not any(_is_alive(pid) for pid in pids))
    with start(repository) as stack:  # The folder is unlocked, and its tables exist.
        assert item(stack, "sweep")


def test_a_port_in_use_is_reported_in_one_line_before_any_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "runyard", "dev"],
            env={**os.environ, "PORT": str(port), "DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert (
        done.stderr == f"Error: port {port} is taken; choose another with --port, or with PORT=…\n"
    )
    assert not (tmp_path / "data" / "logs").exists()
