"""The servers of the local stack reject web pages of other sites."""

import pytest

from runyard_dev.local_callers import find_foreign_caller


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:1"],
)
def test_names_of_this_machine_are_accepted(host: str) -> None:
    assert find_foreign_caller([host], [f"http://{host}"]) == ""


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example"],
        ["localhost.evil.example:8080"],
        ["evil.example@localhost.evil.example"],
        ["127.0.0.1", "evil.example"],
        ["[::1"],
        [""],
        [],
    ],
)
def test_other_hosts_are_rejected_with_the_way_out(hosts: list[str]) -> None:
    assert "ALLOWED_HOSTS=NAME" in find_foreign_caller(hosts, [])


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "http://[::1"],
)
def test_other_origins_are_rejected_with_the_way_out(origin: str) -> None:
    assert "CORS_ORIGIN=ORIGIN" in find_foreign_caller(["localhost"], [origin])


def test_the_configured_names_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "runyard.test, other.test")
    monkeypatch.setenv("CORS_ORIGIN", "https://app.test")
    assert find_foreign_caller(["other.test:8080"], ["https://app.test"]) == ""
    assert find_foreign_caller(["third.test"], [])
    assert find_foreign_caller(["localhost"], ["https://app.test.evil.example"])


def test_any_origin_as_cors_setting_accepts_no_foreign_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CORS_ORIGIN", "*")
    assert find_foreign_caller(["localhost"], ["https://evil.example"])
