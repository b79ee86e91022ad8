"""Publish the agents: validate all their files, then write them to the S3 agent bundle."""

from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.agents.definitions.source import AgentSource
from runyard_service.application.maintenance.check_agents import (
    CheckedAgents,
    check_agents,
    check_deployable,
)
from runyard_service.settings import Settings


def publish_agents(files: AgentSource, bundle: AgentBundle, settings: Settings) -> CheckedAgents:
    """Replace the published agents, and return the new set.

    Publish nothing and raise DefinitionError if a file is invalid, or if a setting names an agent
    that is missing, or if an agent's function is in a file.
    """
    texts = files.read()
    checked = check_agents(texts, settings)
    check_deployable(checked.agents)
    bundle.write(texts)
    return checked
