"""Publish the agents: validate all their files, then write them to the S3 agent bundle."""

from collections.abc import Mapping

from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.agents.definitions.loader import AgentSet, read_agents
from runyard_service.agents.definitions.source import AgentSource


def publish_agents(
    files: AgentSource, bundle: AgentBundle, required_agents: Mapping[str, str]
) -> AgentSet:
    """Replace the published agents, and return the new set.

    `required_agents` maps names of settings to the agents that they name. Publish nothing and raise
    DefinitionError if a file is invalid or a required agent is missing.
    """
    texts = files.read()
    agents = read_agents(texts, required_agents)
    bundle.write(texts)
    return agents
