"""Measure the web console in chromium: a run of 10,000 events and 1,000 calls, and the list.

    python -m benchmarks.console

The run is written into the store of a local stack. Needs Debian's package chromium.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run

CALLS, DELTAS_PER_CALL, REPORTS_PER_CALL = 1000, 3, 4
GOALS = {"list ms": 1000.0, "events ms": 1000.0, "heap MB": 60.0, "frames/s": 50.0}
# Scrolls the whole page in two seconds and returns the frames per second.
_SCROLL = """() => new Promise(resolve => {
  const end = document.documentElement.scrollHeight - innerHeight, start = performance.now();
  let frames = 0;
  requestAnimationFrame(function step(now) {
    frames++;
    scrollTo(0, end * Math.min(1, (now - start) / 2000));
    if (now - start < 2000) requestAnimationFrame(step);
    else resolve(frames * 1000 / (now - start));
  });
})"""


def main() -> int:
    """Print the results. Return 1 if a goal is missed."""
    path = shutil.which("chromium")
    if path is None:
        print("needs Debian's package chromium: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, DevStack.start(data_dir=Path(folder)) as stack:
        run_id, last = write_run(stores_of(stack.environment), stack.access_key)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            results = measure(browser.new_page(), stack, run_id, last)
            browser.close()
    for name, value in results.items():
        print(f"{name:10} {value:8.1f}  goal {GOALS[name]:g}")
    return int(any(is_missed(name, value) for name, value in results.items()))


def is_missed(name: str, value: float) -> bool:
    """Return whether the value misses its goal. More frames are better."""
    return value < GOALS[name] if name == "frames/s" else value > GOALS[name]


def write_run(stores: Stores, access_key: str) -> tuple[str, int]:
    """Store an ended run; return its id and the sequence of its last event."""
    key = stores.access_keys.find(access_key)
    assert key is not None
    run = Run(
        id=new_id(),
        project_id=key.project_id,
        org_id=key.org_id,
        app_id=new_id(),
        agent="bench@1",
        definition_digest="none",
        input={"x": 1},
        started_at=timestamp(),
    )
    stores.runs.create(run)
    events = [NewEvent(type="run.started", data={"input": {}})]
    for number in range(CALLS):
        delta = {"iteration": number + 1, "delta": "some words of the model "}
        call = {"id": f"call-{number}", "tool": {"name": "lookup"}, "input": {"number": number}}
        events += [NewEvent(type="agent.response.delta", data=delta)] * DELTAS_PER_CALL
        events.append(NewEvent(type="agent.message.completed", data={**delta, "content": "words"}))
        events.append(NewEvent(type="agent.tool_call.started", data=call))
        report = {"id": call["id"], "progress": 1, "total": REPORTS_PER_CALL}
        events += [NewEvent(type="agent.tool_call.progress", data=report)] * REPORTS_PER_CALL
        events.append(NewEvent(type="agent.tool_call.completed", data={**call, "result": "found"}))
    events.append(NewEvent(type="run.completed", data={"output": {}}))
    last = 0
    for start in range(0, len(events), 1000):
        last = stores.log.append(run.id, last, events[start : start + 1000])[-1].sequence
    return run.id, last


def measure(page: Page, stack: DevStack, run_id: str, last: int) -> dict[str, float]:
    """Return the result of each measurement."""
    started = time.perf_counter()
    page.goto(f"{stack.base_url}/console/#key={stack.access_key}")
    page.goto(f"{stack.base_url}/console/#/runs")
    page.locator(".runs tbody tr").first.wait_for()
    listed = time.perf_counter()
    page.goto(f"{stack.base_url}/console/#/runs/{run_id}")
    page.get_by_text(f"complete, event {last:,}").wait_for(timeout=60_000)
    opened = time.perf_counter()
    while (earlier := page.get_by_role("button", name="earlier rows")).count():
        earlier.click()
    frames = page.evaluate(_SCROLL)
    heap = page.context.new_cdp_session(page)
    heap.send("HeapProfiler.collectGarbage")
    used = heap.send("Runtime.getHeapUsage")["usedSize"]
    return {
        "list ms": (listed - started) * 1000,
        "events ms": (opened - listed) * 1000,
        "heap MB": used / 1e6,
        "frames/s": frames,
    }


if __name__ == "__main__":
    sys.exit(main())
