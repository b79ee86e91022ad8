"""Web pages of other sites cannot use the local stack, and its data folder is private."""

import stat
from pathlib import Path

import httpx
import pytest

from runyard_dev.access_key import choose_access_key
from runyard_dev.data_dir import lock
from runyard_dev.dev_stack import DevStack
from runyard_dev.stack_plan import AWS, LAMBDA, SAMPLES, WEB, web_command

FOREIGN = [{"Host": "evil.example"}, {"Origin": "https://evil.example"}]


@pytest.mark.parametrize("part", [WEB, LAMBDA, AWS, SAMPLES])
@pytest.mark.parametrize("headers", FOREIGN, ids=["rebinding", "cross-origin"])
def test_no_server_answers_foreign_pages(
    stack: DevStack, part: str, headers: dict[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {stack.access_key}", **headers}
    response = httpx.get(f"http://127.0.0.1:{stack.port(part)}/v1/runs", headers=headers)
    assert response.status_code == 403
    assert "evil.example" in response.text


def test_a_page_of_this_machine_can_use_the_api(stack: DevStack) -> None:
    headers = {
        "Authorization": f"Bearer {stack.access_key}",
        "Origin": "http://localhost:3000",
    }
    response = httpx.get(f"{stack.base_url}/v1/runs", headers=headers)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] in ("*", "http://localhost:3000")


def test_forwarded_headers_are_not_trusted() -> None:
    assert "--no-proxy-headers" in web_command(8080, Path())


def test_each_data_folder_has_its_own_key(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        lock(folder).close()
    key = choose_access_key(first, None)
    assert len(key) > 32
    assert choose_access_key(first, None) == key
    assert choose_access_key(second, None) != key
    assert choose_access_key(second, "ry_own") == "ry_own"
    assert (second / "access-key").read_text() == "ry_own\n"


def test_only_the_owner_reads_the_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    lock(folder).close()
    choose_access_key(folder, None)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "access-key").stat().st_mode) == 0o600
