"""A browser, and the console of the session's local stack, with a project for each test."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one browser for the tests of a module.

    Playwright has an event loop in this thread while it runs, so later tests could start none.
    """
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-lcd-text"]
        )
        yield browser
        browser.close()


class Project:
    """A project of its own, so that its lists contain only the runs of the test."""

    def __init__(self, stores: Stores, base_url: str, open_clients: ExitStack) -> None:
        self.base_url = base_url
        self.id, self._org = f"project-{new_id()}", f"org-{new_id()}"
        self._stores, self._open_clients = stores, open_clients

    def key(self, **terms: Any) -> str:
        """Return a new access key of the project."""
        secret = f"ry_{new_id()}"
        self._stores.access_keys.save(secret, project_id=self.id, org_id=self._org, **terms)
        return secret

    def client(self, key: str) -> httpx.Client:
        """Return a client of the service."""
        headers = {"authorization": f"Bearer {key}"}
        client = httpx.Client(base_url=self.base_url, headers=headers, timeout=30)
        return self._open_clients.enter_context(client)


@pytest.fixture
def project(stack: DevStack, stores: Stores) -> Iterator[Project]:
    """Yield an empty project."""
    with ExitStack() as open_clients:
        yield Project(stores, stack.base_url, open_clients)


@pytest.fixture
def key(project: Project) -> str:
    """Return a key of the person Anna."""
    return project.key(user_id="anna", user_name="Anna")


@pytest.fixture
def api(project: Project, key: str) -> httpx.Client:
    """Return a client of the service with Anna's key."""
    return project.client(key)


class Visits:
    """Opens tabs in separate windows and closes them."""

    def __init__(self, browser: Browser, closing: ExitStack, base_url: str) -> None:
        self._browser, self._closing, self._base_url = browser, closing, base_url

    def new(self, key: str, size: ViewportSize = DESKTOP, **options: Any) -> Visit:
        """Return a new tab for this key. `base_url` replaces the address of the service."""
        base_url = options.pop("base_url", self._base_url)
        context = self._browser.new_context(
            viewport=size, locale="en-US", timezone_id="UTC", **options
        )
        self._closing.callback(context.close)
        visit = Visit(context.new_page(), base_url, key)
        visit.page.on("pageerror", lambda error: visit.problems.append(str(error)))
        visit.page.on(
            "console",
            lambda message: (
                visit.problems.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        visit.page.on("request", lambda sent: visit.hosts.add(sent.url.split("/console")[0]))
        return visit


@pytest.fixture
def visits(browser: Browser, project: Project) -> Iterator[Visits]:
    """Yield what opens tabs."""
    with ExitStack() as closing:
        yield Visits(browser, closing, project.base_url)


@pytest.fixture
def visit(visits: Visits, key: str, request: pytest.FixtureRequest) -> Visit:
    """Return a new tab; a test that is parametrized with a size gets a window of this size."""
    return visits.new(key, getattr(request, "param", DESKTOP))
