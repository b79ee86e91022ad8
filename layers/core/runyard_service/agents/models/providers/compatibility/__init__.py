"""Corrections for servers that deviate from the protocol that they claim to speak."""
