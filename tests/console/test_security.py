"""Test that texts of users, models and tools stay texts, wherever a page has them."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.console.conftest import Visit
from tests.console.samples import start, start_until
from tests.support.wait_until import wait_until

PAYLOAD = (
    "<img src=x onerror=alert(1)><script>alert(1)</script><svg onload=alert(1)>"
    "[a](javascript:alert(1)) ![b](https://example.com/b.png) {{constructor.constructor('x')()}}"
)
HIDDEN = "safe\u202etxt.exe\u200b"

Start = Callable[[httpx.Client], str]


def _answer(api: httpx.Client, run_id: str, **data: Any) -> None:
    run = api.get(f"/v1/runs/{run_id}").json()["data"]
    [request] = run["input_requests"]
    body = {"type": request["type"], "data": {"request_id": request["id"], **data}}
    assert api.post(f"/v1/runs/{run_id}/input", json=body).is_success

    def is_ended() -> bool:
        return bool(api.get(f"/v1/runs/{run_id}").json()["data"].get("ended_at"))

    wait_until(is_ended, 30)


def input_title_and_user(api: httpx.Client) -> str:
    ticket = {"ticket_subject": PAYLOAD, "ticket_body": f"I was charged twice. {PAYLOAD}"}
    return start_until(api, "awaiting_input", ticket, user_id=PAYLOAD[:100])


def text_and_output(api: httpx.Client) -> str:
    return start_until(api, "completed", {"count": 1, "content": PAYLOAD}, agent="talker")


def arguments_of_an_approval(api: httpx.Client) -> str:
    values = {"case": "contains", "amount": 1, "note": f"ABROAD {PAYLOAD}"}
    return start_until(api, "awaiting_input", values, agent="conditions")


def answer_and_result(api: httpx.Client) -> str:
    content = {"count": 1, "content": "input request"}
    run_id = start_until(api, "awaiting_input", content, agent="talker")
    _answer(api, run_id, feedback=PAYLOAD)
    return run_id


def reason_and_error(api: httpx.Client) -> str:
    run_id = start_until(api, "awaiting_input", {"case": "charge"}, agent="people")
    _answer(api, run_id, is_approved=False, feedback=PAYLOAD)
    return run_id


def property_names(api: httpx.Client) -> str:
    return str(start(api, {PAYLOAD: PAYLOAD, "content": "words"}, agent="asker")["id"])


@pytest.mark.parametrize(
    "create",
    [
        input_title_and_user,
        text_and_output,
        arguments_of_an_approval,
        answer_and_result,
        reason_and_error,
        property_names,
    ],
)
def test_no_text_becomes_markup(visit: Visit, api: httpx.Client, create: Start) -> None:
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    run_id = create(api)
    found = 0
    for path in ("runs", "inbox", f"runs/{run_id}", f"runs/{run_id}?tab=conversation"):
        visit.open(path)
        expect(visit.page.get_by_role("status", name="Loading")).to_have_count(0)
        found += visit.page.get_by_text("onerror=alert").count()
        assert _markup(visit) == 0
    for row in visit.page.locator(".bar-row").all():
        row.click()
        assert _markup(visit) == 0
    for tab in ("input", "log"):
        visit.open(f"runs/{run_id}?tab={tab}")
        expect(visit.page.get_by_role("status", name="Loading")).to_have_count(0)
        visit.page.evaluate(
            "document.querySelectorAll('details').forEach(each => each.open = true)"
        )
        found += visit.page.get_by_text("onerror=alert").count()
        assert _markup(visit) == 0
    assert found > 0
    assert dialogs == []
    assert visit.problems == []
    assert {host.split("/v1")[0] for host in visit.hosts} == {visit.base_url}


def _markup(visit: Visit) -> int:
    """Return the number of elements that only a text could have created."""
    created = "img, script, iframe, svg[onload], a[href^='javascript:'], a[href*='example.com']"
    return visit.page.locator("main").locator(created).count()


def test_invisible_characters_become_visible(visit: Visit, api: httpx.Client) -> None:
    run_id = start_until(api, "completed", {"count": 1, "content": HIDDEN}, agent="talker")
    visit.open(f"runs/{run_id}?tab=input")
    expect(visit.page.get_by_text("safe␣202etxt.exe␣200b").first).to_be_visible()


def test_markup_from_a_script_is_an_error(visit: Visit) -> None:
    visit.open("runs")
    expect(visit.page.get_by_role("heading", name="Runs")).to_be_visible()
    for write in ("innerHTML = '<b>x</b>'", "insertAdjacentHTML('beforeend', '<b>x</b>')"):
        attempt = f"try {{ document.body.{write} }} catch (error) {{ return error.name }}"
        assert visit.page.evaluate(f"(() => {{ {attempt} }})()") == "TypeError"


def test_the_page_and_its_files_have_a_strict_policy(visit: Visit) -> None:
    page = httpx.get(f"{visit.base_url}/console/")
    policy = page.headers["content-security-policy"]
    for rule in ("default-src 'none'", "frame-ancestors 'none'", "trusted-types 'none'"):
        assert rule in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
