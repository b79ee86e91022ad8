"""The models of providers, by pydantic-ai: requests, responses, connections and errors."""
