"""OpenAI's Responses API: nothing is stored at OpenAI, and files are sent as data.

pydantic-ai asks for encrypted reasoning and sends it back in the order and under the ids of the
response.
"""

from openai.types import responses
from pydantic_ai.messages import UserPromptPart
from pydantic_ai.models.openai import OpenAIResponsesModel


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
