"""Test the answers of people: two at once, too late, by keyboard, and with an ended key."""

from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect

from runyard_service.domain.clock import now, timestamp
from tests.console.conftest import Project, Visit, Visits
from tests.console.samples import events, start_until
from tests.support.wait_until import wait_until

APPROVE = "Approve refund"


def test_of_two_people_one_decides_and_the_other_sees_who(
    visits: Visits, api: httpx.Client, key: str, project: Project
) -> None:
    run_id = start_until(api, "awaiting_input")
    first = visits.new(key)
    second = visits.new(project.key(user_id="ben", user_name="Ben"))
    statuses: list[int] = []
    for visit in (first, second):
        visit.page.on("response", lambda answer: _note_input(answer.url, answer.status, statuses))
        visit.open("inbox")
        visit.page.locator("button.request").click()
        expect(visit.page.get_by_role("button", name=APPROVE)).to_be_visible()
    first.page.get_by_role("button", name=APPROVE).click()
    expect(first.page.get_by_role("button", name=APPROVE)).to_have_count(0)
    # The same answer again would change nothing.
    second.page.get_by_label("amount").fill("45")
    second.page.get_by_role("button", name=APPROVE).click()
    expect(second.page.get_by_role("alert")).to_contain_text("anna answered")
    assert [status for status in statuses if status >= 400] == [409]
    [resolved] = [event for event in events(api, run_id) if event["type"].endswith(".resolved")]
    assert resolved["data"]["answered_by"] == "anna"


def _note_input(url: str, status: int, statuses: list[int]) -> None:
    if url.endswith("/input"):
        statuses.append(status)


def test_an_answer_after_the_end_of_its_time_says_so(visit: Visit, api: httpx.Client) -> None:
    run_id = start_until(api, "awaiting_input", {"case": "charge soon"}, agent="people")
    visit.open("inbox")
    visit.page.locator("button.request").click()
    approve = visit.page.get_by_role("button", name="Approve charge_soon")
    expect(approve).to_be_visible()

    def is_ended() -> bool:
        return bool(api.get(f"/v1/runs/{run_id}").json()["data"].get("ended_at"))

    wait_until(is_ended, 30)
    approve.click()
    expect(visit.page.get_by_role("alert")).to_contain_text("expired")


def test_a_person_decides_with_the_keyboard_alone(visit: Visit, api: httpx.Client) -> None:
    run_id = start_until(api, "awaiting_input")
    visit.open("runs")
    page = visit.page
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    expect(page.locator("button.request")).to_be_visible()
    page.keyboard.press("j")
    amount = page.get_by_label("amount")
    expect(amount).to_be_visible()
    _tab_to(page, "INPUT")
    expect(amount).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("45")
    _tab_to(page, "BUTTON", f"{APPROVE} with changes")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=APPROVE)).to_have_count(0)
    [resolved] = [event for event in events(api, run_id) if event["type"].endswith(".resolved")]
    assert resolved["data"]["effective_params"]["amount"] == 45


def _tab_to(page: Page, tag: str, text: str = "") -> None:
    """Press Tab until this element has the focus, which must be visible at each element."""
    for _ in range(40):
        page.keyboard.press("Tab")
        found, label, outline = page.evaluate(
            """(() => {
              const each = document.activeElement;
              return [each.tagName, each.innerText ?? "", getComputedStyle(each).outlineStyle];
            })()"""
        )
        if found != "BODY":
            assert outline != "none", label
        if found == tag and label.startswith(text):
            return
    pytest.fail(f"Tab does not reach {tag} {text}")


def test_an_ended_key_leads_to_the_key_page_and_a_new_key_to_the_same_page(
    visits: Visits, api: httpx.Client, project: Project
) -> None:
    run_id = start_until(api, "awaiting_input")
    short = project.key(valid_until=timestamp(now() + timedelta(seconds=4)))
    visit = visits.new(short)
    address = f"runs/{run_id}?tab=log"
    visit.open(address)
    expect(visit.page.locator(".log li").first).to_be_visible()
    wait_until(lambda: project.client(short).get("/v1/runs").status_code == 401, 30)
    visit.page.get_by_role("button", name="Cancel run").click()
    visit.page.keyboard.press("Enter")
    entered = visit.page.get_by_label("Access key")
    expect(entered).to_be_visible()
    assert visit.page.evaluate("sessionStorage.length") == 0
    entered.fill(project.key(user_id="anna"))
    visit.page.get_by_role("button", name="Open").click()
    expect(visit.page.locator(".log li").first).to_be_visible()
    assert visit.page.url.endswith(f"#/{address}")


def test_nothing_moves_for_people_who_want_no_motion(visits: Visits, key: str) -> None:
    visit = visits.new(key, reduced_motion="reduce")
    visit.open("")
    expect(visit.page.get_by_role("heading", name="Now", exact=True)).to_be_visible()
    moving = visit.page.evaluate(
        """[...document.querySelectorAll("*")].filter(each => {
          const {animationDuration, transitionDuration} = getComputedStyle(each);
          return parseFloat(animationDuration) > 0 || parseFloat(transitionDuration) > 0;
        }).length"""
    )
    assert moving == 0
