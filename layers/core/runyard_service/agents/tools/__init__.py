"""The kinds of tool that an agent can call."""
