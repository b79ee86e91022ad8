"""Webhooks: the endpoints of a project that receive notifications."""
