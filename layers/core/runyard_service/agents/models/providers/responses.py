"""OpenAI's Responses API: nothing is stored at OpenAI, and files are sent as data.

pydantic-ai asks for encrypted reasoning and sends it back in the order and under the ids of the
response.
"""

from openai import AsyncOpenAI
from openai.types import responses
from pydantic_ai.messages import UserPromptPart
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from runyard_service.agents.definitions.routes import Route


def responses_model(route: Route, client: AsyncOpenAI) -> "ResponsesModel":
    """Return the model of the route."""
    profile = OpenAIModelProfile(
        # OpenAI stores no response. So the log has all that the next request requires.
        openai_responses_requires_store_false=True,
        # A phase is sent back only if the model sent it.
        openai_supports_phase=True,
        supports_json_schema_output=True,
        json_schema_transformer=None,
    )
    settings = OpenAIResponsesModelSettings()
    if route.reasoning is not None and route.reasoning != "off":
        # Also of a model that pydantic-ai does not know.
        profile["supports_thinking"] = True
        profile["openai_supports_encrypted_reasoning_content"] = True
        settings["openai_reasoning_summary"] = "auto"
    return ResponsesModel(
        route.model_name,
        provider=OpenAIProvider(openai_client=client),
        profile=profile,
        settings=settings,
    )


class ResponsesModel(OpenAIResponsesModel):
    """A model whose data URIs of documents are sent as `file_data`; pydantic-ai's are addresses."""

    async def _map_user_prompt(self, part: UserPromptPart) -> responses.EasyInputMessageParam:
        mapped = await super()._map_user_prompt(part)
        contents = mapped["content"]
        if isinstance(contents, str):
            return mapped
        for content in contents:
            if content["type"] == "input_file" and "file_url" in content:
                content["file_data"] = content.pop("file_url") or ""
                content["filename"] = "filename.pdf"
        return mapped
