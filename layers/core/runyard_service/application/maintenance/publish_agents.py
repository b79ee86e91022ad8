"""Publish the agents: check all their files, then put them where the doors read them."""

from collections.abc import Mapping

from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.agents.definitions.loader import AgentSet, read_agents
from runyard_service.agents.definitions.source import AgentSource


def publish_agents(files: AgentSource, bundle: AgentBundle, named: Mapping[str, str]) -> AgentSet:
    """Replace the published agents by these; gives what was published.

    `named` maps settings to the agents that they name. Raises DefinitionError, and publishes
    nothing, where a file has a fault or such an agent is missing.
    """
    texts = files.read()
    agents = read_agents(texts, named)
    bundle.write(texts)
    return agents
