"""Gemini's `thinkingConfig`: levels from Gemini 3 on, and numbers of tokens before.

The values are those of pydantic-ai 2.68 (`models/google.py`), which cannot be imported without
Google's SDK.
"""

from typing import Any

from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.profiles.google import GOOGLE_THINKING_LEVEL_SCALE

_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_BUDGETS = {"minimal": 128, "low": 2048, "medium": 8192, "high": 24576}
# Gemini 2.5 Pro cannot turn reasoning off.
_MIN_BUDGET = 128


def thinking_config(profile: Any, parameters: ModelRequestParameters) -> dict[str, Any] | None:
    """Return the configuration for the route's effort; None where the route sets none."""
    thinking = parameters.thinking
    if thinking is None:
        return None
    if not profile.get("google_supports_thinking_level", True):
        if thinking is False:
            is_always_on = profile.get("thinking_always_enabled", False)
            return {"thinkingBudget": _MIN_BUDGET if is_always_on else 0}
        return {"includeThoughts": True, "thinkingBudget": _BUDGETS.get(str(thinking), 24576)}
    if thinking is False:
        return {"thinkingLevel": _nearest("MINIMAL", profile)}
    level = _LEVELS.get(str(thinking), "HIGH")
    return {"includeThoughts": True, "thinkingLevel": _nearest(level, profile)}


def _nearest(level: str, profile: Any) -> str:
    """Return the nearest level that the model accepts; of two, the cheaper."""
    scale: list[str] = list(GOOGLE_THINKING_LEVEL_SCALE)
    accepted = profile.get("google_thinking_levels") or scale
    position = scale.index(level)
    return min(accepted, key=lambda own: (abs(scale.index(own) - position), scale.index(own)))
