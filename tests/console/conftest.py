"""A browser, and the console of the session's local stack."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from runyard_dev.dev_stack import DevStack

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}


@dataclass
class Visit:
    """A page of the console, and what the browser had to say about it."""

    page: Page
    base_url: str
    access_key: str
    problems: list[str] = field(default_factory=list)
    """Errors of scripts, and violations of the content security policy."""
    hosts: set[str] = field(default_factory=set)
    """The origins of all requests."""

    def open(self, path: str = "") -> None:
        """Open a page of the console with the access key."""
        self.page.goto(f"{self.base_url}/console/#key={self.access_key}")
        self.page.goto(f"{self.base_url}/console/#/{path}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Run one browser for all tests."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, stack: DevStack, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Yield a new tab; a test that names `size` gets a window of this size."""
    size: ViewportSize = getattr(request, "param", DESKTOP)
    context = browser.new_context(viewport=size, locale="en-US", timezone_id="UTC")
    visit = Visit(context.new_page(), stack.base_url, stack.access_key)
    visit.page.on("pageerror", lambda error: visit.problems.append(str(error)))
    visit.page.on(
        "console",
        lambda message: (
            visit.problems.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    visit.page.on("request", lambda sent: visit.hosts.add(sent.url.split("/console")[0]))
    yield visit
    context.close()


@pytest.fixture
def api(stack: DevStack) -> Iterator[httpx.Client]:
    """Yield a client of the service."""
    headers = {"authorization": f"Bearer {stack.access_key}"}
    with httpx.Client(base_url=stack.base_url, headers=headers, timeout=30) as client:
        yield client
