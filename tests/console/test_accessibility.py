"""Test each page in each state with axe-core: light and dark, on a desktop and on a phone.

`make console-pictures` writes pictures to `build/console`, and some of them to the docs.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.axe import needs_axe, violations
from tests.console.conftest import DESKTOP, PHONE, Visit
from tests.console.samples import Samples, create_samples

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build/console"
DOCS = ROOT / "docs/how-to/console"
IN_DOCS = ("now", "runs", "run-detail", "inbox-open")
MOST_BYTES = 60_000
SIZES = (DESKTOP, PHONE)


def looks(page: Page) -> Iterator[str]:
    """Show the page in each size, light and dark."""
    for size in SIZES:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme="light")
        yield f"{size['width']}-light"
        page.emulate_media(color_scheme="dark")
        yield f"{size['width']}-dark"
    page.set_viewport_size(DESKTOP)


def check(visit: Visit, name: str) -> list[str]:
    """Return what is wrong with the page in any look, and write its pictures."""
    found = []
    if os.environ.get("CONSOLE_PICTURES") and name in IN_DOCS:
        visit.page.emulate_media(color_scheme="light")
        visit.page.set_viewport_size({"width": 1024, "height": 320 if name == "runs" else 560})
        visit.page.screenshot(path=DOCS / f"{name}.png")
    for look in looks(visit.page):
        if os.environ.get("CONSOLE_PICTURES"):
            visit.page.screenshot(path=PICTURES / f"{name}-{look}.png")
        found += [f"{name} {look}: {violation}" for violation in violations(visit.page)]
        if visit.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{name} {look}: the page is wider than the window")
    return found


def pages(samples: Samples) -> dict[str, str]:
    """Return the address of each page by the name of its picture."""
    return {
        "now": "",
        "runs": "runs",
        "runs-failed": "runs?status=failed",
        "runs-none": "runs?user=not-a-user",
        "inbox": "inbox",
        "missing": "no-such-page",
        "run-waiting": f"runs/{samples.waiting}",
        "run-asking": f"runs/{samples.asking}",
        "run-form": f"runs/{samples.form}",
        "run-failed": f"runs/{samples.failed}",
        "run-completed": f"runs/{samples.completed}",
        "run-canceled": f"runs/{samples.canceled}",
        "run-conversation": f"runs/{samples.waiting}?tab=conversation",
        "run-log": f"runs/{samples.completed}?tab=log",
        "run-input": f"runs/{samples.completed}?tab=input",
        "run-compare": f"runs/{samples.completed}?tab=compare&with={samples.failed}",
        "threads": "threads",
        "thread-new": "threads/new",
        "agents": "agents",
        "agent": "agents/support_triage",
        "usage": "usage",
        "settings": "settings",
        "run-missing": "runs/00000000-0000-4000-8000-000000000000",
    }


@needs_axe
@pytest.mark.timeout(180)
def test_no_page_breaks_a_rule_of_axe(visit: Visit, api: httpx.Client) -> None:
    found = []
    samples = create_samples(api)
    for name, path in pages(samples).items():
        visit.open(path)
        expect(visit.page.locator("main")).not_to_be_empty()
        expect(visit.page.get_by_role("status", name="Loading")).to_have_count(0)
        found += check(visit, name)
    assert found == []


@needs_axe
def test_no_state_of_a_page_breaks_a_rule_of_axe(visit: Visit, api: httpx.Client) -> None:
    samples, page = create_samples(api), visit.page
    page.goto(f"{visit.base_url}/console/")
    found = check(visit, "key")
    page.get_by_label("Access key").fill("ry_wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found += check(visit, "key-rejected")

    visit.open("inbox")
    page.locator("button.request").first.click()
    expect(page.get_by_role("form")).to_be_visible()
    found += check(visit, "inbox-open")

    visit.open(f"runs/{samples.waiting}")
    page.locator(".bar-row.call").first.click()
    expect(page.get_by_role("complementary")).to_be_visible()
    found += check(visit, "run-detail")
    page.get_by_role("button", name="Refuse…").click()
    expect(page.get_by_label("Why?")).to_be_visible()
    found += check(visit, "run-reason")
    assert found == []


@pytest.mark.parametrize("name", IN_DOCS)
def test_the_docs_have_a_small_picture_of_each_page(name: str) -> None:
    assert f"(console/{name}.png)" in (DOCS.parent / "console.md").read_text()
    assert 5000 < (DOCS / f"{name}.png").stat().st_size <= MOST_BYTES
