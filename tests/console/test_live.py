"""Test how often the console asks the service, and that a lost connection loses no text."""

from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.console.conftest import Project, Visit, Visits
from tests.console.samples import events, start, start_until
from tests.support.servers.aborting_proxy import AbortingProxy
from tests.support.wait_until import wait_until

# With the head of the response, which has about 700 bytes: in the head, in the first event, later.
CUTS = (300, 1100, 1753, 2222, 1901)

COUNT_TIMERS = """
window.timers = new Set();
const [set, clear] = [window.setTimeout, window.clearTimeout];
window.setTimeout = (run, ...rest) => {
  const id = set(() => { timers.delete(id); run(); }, ...rest);
  timers.add(id);
  return id;
};
window.clearTimeout = id => { timers.delete(id); clear(id); };
"""


def answer_all(api: httpx.Client, run_id: str) -> None:
    """Answer each input request until the run has completed."""

    def is_completed() -> bool:
        run = api.get(f"/v1/runs/{run_id}").json()["data"]
        for request in run.get("input_requests", []):
            data = {"request_id": request["id"], "feedback": "yes"}
            api.post(f"/v1/runs/{run_id}/input", json={"type": request["type"], "data": data})
        return bool(run["status"] == "completed")

    wait_until(is_completed, 60)


def sent_requests(page: Page) -> list[str]:
    """Return a list that grows with the requests of the page for data."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/v1/" in request.url else None)
    return sent


def messages(api: httpx.Client, run_id: str) -> list[str]:
    """Return the texts of the model in the log."""
    completed: list[dict[str, Any]] = [
        event["data"] for event in events(api, run_id) if event["type"] == "agent.message.completed"
    ]
    return [data["content"] for data in completed if data["content"]]


def test_five_cuts_of_the_connection_lose_no_text(
    visits: Visits, api: httpx.Client, key: str, project: Project
) -> None:
    with AbortingProxy(project.base_url, *CUTS) as proxy:
        visit = visits.new(key, base_url=proxy.url)
        visit.page.add_init_script(COUNT_TIMERS)
        run_id = start(api, {"content": "words"}, agent="asker")["id"]
        visit.open(f"runs/{run_id}?tab=conversation")
        wait_until(lambda: not proxy.cuts, 60)
        visit.page.wait_for_timeout(100)
        answer_all(api, run_id)
        expect(visit.page.locator(".run-head .chip")).to_contain_text("completed")
        expect(visit.page.get_by_text("complete, event")).to_be_visible()
        displayed = visit.page.locator(".message.turn .text").all_inner_texts()
        assert [text.strip() for text in displayed] == [
            text.strip() for text in messages(api, run_id)
        ]
        streams = proxy.streams
        assert streams >= len(CUTS) + 1
        # The navigation reads the number of open input requests again.
        wait_until(lambda: visit.page.evaluate("timers.size <= 1"), 10)
        assert proxy.streams == streams
        visit.page.context.close()


def test_a_hidden_tab_sends_no_requests(visit: Visit, api: httpx.Client) -> None:
    start_until(api, "awaiting_input")
    visit.page.clock.install()
    for path in ("", "runs", "inbox"):
        visit.open(path)
        expect(visit.page.locator("h1")).to_be_visible()
        visit.page.wait_for_load_state("networkidle")
        _show(visit.page, "hidden")
        sent = sent_requests(visit.page)
        visit.page.clock.run_for(60_000)
        assert sent == []
        _show(visit.page, "visible")
        visit.page.wait_for_load_state("networkidle")
        assert sent


def test_a_list_sends_at_most_twelve_requests_a_minute(visit: Visit, api: httpx.Client) -> None:
    start_until(api, "awaiting_input")
    visit.page.clock.install()
    for path in ("runs", "inbox"):
        visit.open(path)
        expect(visit.page.locator("h1")).to_be_visible()
        visit.page.wait_for_load_state("networkidle")
        sent = sent_requests(visit.page)
        for _ in range(60):
            visit.page.clock.run_for(1000)
            visit.page.wait_for_timeout(20)
        counts = {url: sent.count(url) for url in sent}
        assert counts
        assert max(counts.values()) <= 12


def _show(page: Page, state: str) -> None:
    """Hide or show the page, as a change of the tab does."""
    page.evaluate(
        """state => {
          const value = state === "hidden";
          Object.defineProperty(document, "hidden", {value, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )
