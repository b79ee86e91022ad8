"""Publishes the agents that are deployed. Invoked by CloudFormation, as a custom resource."""

from typing import TYPE_CHECKING, Any

from runyard_service.adapters.cloudformation import answered
from runyard_service.application.maintenance.publish_agents import publish_agents
from runyard_service.container import agent_bundle, agents_folder
from runyard_service.observability.logging import invocation
from runyard_service.settings import settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@invocation
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> None:
    """Take a custom resource's request; the answer goes to its `ResponseURL`."""
    with answered(event, resource_id="agents"):
        # What runs may still use stays, as all data does, when the stack is deleted.
        if event["RequestType"] != "Delete":
            publish_agents(agents_folder(), agent_bundle(), settings().named_agents)
