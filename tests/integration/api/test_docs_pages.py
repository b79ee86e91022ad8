"""Test the documentation pages: own files only, a strict policy, and headers of all responses."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from tests.support.app_server import app_with, make_services

FOREIGN_HOST = re.compile(r"(https?:)?//[a-z0-9-]+\.[a-z]", re.IGNORECASE)


@pytest.fixture(scope="module")
def api(stack: DevStack) -> Iterator[TestClient]:
    with TestClient(app_with(make_services(stack))) as client:
        yield client


@pytest.mark.parametrize("path", ["/docs", "/threads/docs"])
def test_a_page_and_its_files_come_from_this_host(api: TestClient, path: str) -> None:
    page = api.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert set(re.findall(r"'(\w+)'", policy)) == {"none", "self"}
    files = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert files == ["docs/icon.svg", "docs/page.css", "docs/page.js"]
    assert not re.search(r"<script>|<style>|style=|onload=", page.text)
    for name in files:
        file = api.get(f"{path.removesuffix('docs')}{name}")
        assert file.status_code == 200
        assert file.headers["x-content-type-options"] == "nosniff"
        text = file.text.replace("http://www.w3.org/2000/svg", "")
        assert not FOREIGN_HOST.search(page.text + text), name
    assert api.get(f"{path}/pages.py").status_code == 404


def test_the_page_sets_no_html(api: TestClient) -> None:
    """Descriptions are data: the page must not run them."""
    script = api.get("/docs/page.js").text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/health", 200), ("/v1/runs", 401), ("/threads/v1/threads", 401), ("/unknown", 404)],
)
def test_no_cache_stores_a_response(api: TestClient, path: str, status: int) -> None:
    response = api.get(path)
    assert response.status_code == status
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_an_internal_error_has_the_headers_too(
    stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(stack)
    monkeypatch.setattr(services.stores.access_keys, "cached", None)
    with TestClient(app_with(services)) as api:
        response = api.get("/v1/runs", headers={"Authorization": "Bearer x"})
    assert response.status_code == 500
    assert response.headers["cache-control"] == "no-store"
