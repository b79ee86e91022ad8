"""Agents in the user's own code: the protocol with their function, and its invocation."""
