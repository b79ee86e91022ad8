"""A door of the service in the test's own process: to be configured, and killed, without harm."""

from pathlib import Path
from typing import Any

from runyard.agent.agent_files import FolderOfAgents
from runyard.agent.catalog import Catalog
from runyard.bootstrap import Services
from runyard.dev.open_store import stores_of
from runyard.dev.supervisor import LocalStack
from runyard.engine.orchestrator import Orchestrator
from runyard.settings import Settings


def services_of(stack: LocalStack, **configured: Any) -> Services:
    """What a door of this stack stands on, with settings of its own."""
    settings = Settings.from_environment(stack.environment).model_copy(update=configured)
    return Services(
        settings=settings,
        stores=stores_of(stack.environment),
        orchestrator=Orchestrator(stack.client("stepfunctions"), settings.run_machine_arn),
        catalog=Catalog(FolderOfAgents(Path(settings.agents_dir))),
        ticket_secret=str,
    )
