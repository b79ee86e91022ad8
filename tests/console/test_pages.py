"""Test the pages of agents, threads, usage and settings, and what a key without scopes sees."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.console.conftest import PHONE, Project, Visit
from tests.console.samples import start_until

# The elements that make the page wider than its window, with their classes.
TOO_WIDE = """
  document.documentElement.scrollWidth <= innerWidth ? [] :
    [...document.querySelectorAll("body *")]
      .filter(element => element.getBoundingClientRect().right > innerWidth + 0.5)
      .map(element => `${element.tagName} ${element.className}`)
"""
PAGES = ("", "runs", "inbox", "threads", "agents", "agents/support_triage", "usage", "settings")


def test_a_key_that_only_reads_has_no_acting_button(
    visit: Visit, api: httpx.Client, project: Project
) -> None:
    run_id = start_until(api, "awaiting_input")
    visit.access_key = project.key(scopes=frozenset({"runs:read"}))
    acting = visit.page.get_by_role(
        "button", name=re.compile("Approve|Refuse|Cancel run|Again|Start run|Add a|Revoke|Send")
    )
    visit.open(f"runs/{run_id}")
    expect(visit.page.get_by_text("This key lacks runs:write: it cannot answer.")).to_be_visible()
    expect(acting).to_have_count(0)
    visit.open("agents/support_triage")
    expect(visit.page.get_by_role("heading", name="Tools")).to_be_visible()
    expect(acting).to_have_count(0)
    visit.open("settings")
    expect(visit.page.get_by_role("alert")).to_contain_text("lacks webhooks:read")
    expect(acting).to_have_count(0)


def test_the_key_of_an_organization_chooses_its_project(visit: Visit, stores: Stores) -> None:
    org, key = f"org-{new_id()}", f"ry_test_{new_id()}"
    for name in ("alpha", "beta"):
        project = f"{name}-{org}"
        stores.access_keys.save(f"ry_test_{new_id()}", project_id=project, org_id=org)
    stores.access_keys.save(key, project_id="", org_id=org)
    visit.access_key = key
    visit.page.goto(f"{visit.base_url}/console/#key={key}")
    visit.page.get_by_role("button", name=f"beta-{org}").click()
    expect(visit.page.get_by_role("combobox", name="Project")).to_have_value(f"beta-{org}")
    expect(visit.page.get_by_role("heading", name="Now")).to_be_visible()


def test_an_author_tries_an_agent_and_sees_its_run_next_to_the_form(visit: Visit) -> None:
    visit.open("agents/support_triage")
    form = visit.page.get_by_role("form", name="Try it")
    form.get_by_role("button", name="Start run").click()
    expect(form).to_contain_text("is required")
    form.get_by_label("ticket_subject").fill("Charged twice")
    form.get_by_label("ticket_body").fill("Order 4812 was charged twice.")
    form.get_by_role("button", name="Start run").click()
    drawer = visit.page.get_by_role("complementary", name="Run")
    expect(drawer.get_by_role("button", name="Approve refund")).to_be_visible()
    assert visit.problems == []


def test_a_thread_answers_a_message(visit: Visit) -> None:
    visit.open("threads/new")
    visit.page.get_by_role("form", name="Message").get_by_role("textbox").fill("Good morning")
    visit.page.get_by_role("button", name="Send").click()
    expect(visit.page.locator(".message.assistant")).to_contain_text("Thanks for writing")
    expect(visit.page.locator(".message.user")).to_contain_text("Good morning")
    assert visit.problems == []


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
def test_no_page_is_wider_than_a_phone(visit: Visit, api: httpx.Client) -> None:
    run_id = start_until(api, "awaiting_input")
    for path in (*PAGES, f"runs/{run_id}", f"runs/{run_id}?tab=compare&with={run_id}"):
        visit.open(path)
        expect(visit.page.locator("main h1, .chat-pane").first).to_be_attached()
        expect(visit.page.get_by_role("status", name="Loading")).to_have_count(0)
        assert visit.page.evaluate(TOO_WIDE) == [], path
    assert visit.problems == []
