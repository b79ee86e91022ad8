"""Loopback servers that speak a provider's own protocol, for tests over real HTTP."""
