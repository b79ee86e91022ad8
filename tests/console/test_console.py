"""Test the console as its users do: open it with a key, find a run, decide on what waits."""

import httpx
import pytest
from playwright.sync_api import expect

from runyard_dev.foreground import console_url
from tests.console.conftest import PHONE, Visit
from tests.console.samples import events, start_until


def test_a_key_opens_the_list_and_leaves_the_address(visit: Visit, api: httpx.Client) -> None:
    run_id = start_until(api, "awaiting_input")
    visit.open("runs")
    expect(visit.page.get_by_role("heading", name="Runs")).to_be_visible()
    expect(visit.page.get_by_role("link", name=run_id[:8])).to_be_visible()
    assert visit.access_key not in visit.page.url
    assert visit.page.evaluate("localStorage.length") == 0
    assert visit.problems == []


def test_the_address_that_the_local_stack_prints_is_signed_in(visit: Visit) -> None:
    address = console_url(visit.base_url, visit.access_key)
    for _ in range(2):  # The second time the tab has the console already.
        visit.page.goto(address)
        expect(visit.page.get_by_role("heading", name="Now", exact=True)).to_be_visible()
        assert visit.page.url == f"{visit.base_url}/console/#/"
    visit.page.go_back()
    assert visit.access_key not in visit.page.url


def test_a_wrong_key_is_rejected_in_words(visit: Visit) -> None:
    visit.page.goto(f"{visit.base_url}/console/")
    visit.page.get_by_label("Access key").fill("ry_wrong")
    visit.page.get_by_role("button", name="Open").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("401")
    expect(visit.page.get_by_label("Access key")).to_be_visible()


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
def test_an_approver_on_a_phone_changes_the_amount_in_three_actions(
    visit: Visit, api: httpx.Client
) -> None:
    run_id = start_until(api, "awaiting_input")
    visit.open(f"runs/{run_id}")
    form = visit.page.get_by_role("form")
    expect(form).to_contain_text("refund")
    form.get_by_label("amount").fill("45")
    form.get_by_role("button", name="Approve refund with changes").click()
    expect(visit.page.locator(".run-head .chip")).to_contain_text("completed")

    log = events(api, run_id)
    [resolved] = [event for event in log if event["type"] == "approval_request.resolved"]
    assert resolved["data"]["proposed_params"]["amount"] == 49
    assert resolved["data"]["effective_params"]["amount"] == 45
    assert visit.problems == []


def test_the_reason_of_a_rejection_reaches_the_model(visit: Visit, api: httpx.Client) -> None:
    run_id = start_until(api, "awaiting_input")
    visit.open("inbox")
    row = visit.page.get_by_role("listitem").filter(has_text=run_id[:8])
    row.locator("button.request").click()
    row.get_by_role("button", name="Refuse…").click()
    row.get_by_label("Why?").fill("The customer was not charged twice.")
    row.get_by_role("button", name="Refuse", exact=False).last.click()
    expect(visit.page.get_by_role("link", name=run_id[:8])).to_have_count(0)
    log = events(api, run_id)
    [resolved] = [event for event in log if event["type"] == "approval_request.resolved"]
    assert resolved["data"]["is_approved"] is False
    assert resolved["data"]["feedback"] == "The customer was not charged twice."


def test_the_page_connects_to_its_own_origin_only(visit: Visit, api: httpx.Client) -> None:
    run_id = start_until(api, "awaiting_input")
    for path in ("", "runs", "inbox", f"runs/{run_id}", f"runs/{run_id}?tab=log"):
        visit.open(path)
        visit.page.wait_for_timeout(300)
    assert {host.split("/v1")[0] for host in visit.hosts} == {visit.base_url}
    assert visit.problems == []
    answer = visit.page.evaluate(
        "fetch('https://example.com/').then(() => 'sent', error => error.name)"
    )
    assert answer == "TypeError"


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "<script>alert(1)</script>",
        "[click](javascript:alert(1)) ![](https://example.com/x.png)",
    ],
)
def test_text_of_others_is_text(visit: Visit, api: httpx.Client, text: str) -> None:
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    ticket = {"ticket_subject": text, "ticket_body": f"Order 4812 was charged twice. {text}"}
    response = api.post("/v1/runs", json={"input": ticket, "user_id": text})
    run_id = response.json()["data"]["id"]
    visit.open(f"runs/{run_id}?tab=input")
    expect(visit.page.get_by_text(text).first).to_be_visible()
    visit.open("runs")
    expect(visit.page.get_by_text(text).first).to_be_visible()
    assert dialogs == []
    assert visit.page.locator("main img, main script, main iframe").count() == 0
    assert visit.problems == []
