"""Google's and Mistral's own wire formats, because their SDKs are too large for the function.

They are models of pydantic-ai like those of the other providers. `base.py` has what both share: one
request as JSON, and a stream of JSON events.
"""
