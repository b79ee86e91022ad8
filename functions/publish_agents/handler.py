"""Publish the deployed agents. CloudFormation invokes this function as a custom resource."""

from typing import TYPE_CHECKING, Any

from runyard_service.application.maintenance.publish_agents import publish_agents
from runyard_service.container import container
from runyard_service.observability.logging import configure_observability, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> None:
    """Take a custom resource's request, and send the response to its `ResponseURL`."""
    parts = container()
    with parts.respond_to_cloudformation(event, resource_id="agents"):
        # Runs may still use the agents, so they stay when the stack is deleted, like all data.
        if event["RequestType"] != "Delete":
            publish_agents(parts.agents_folder, parts.agent_bundle, parts.settings.named_agents)
