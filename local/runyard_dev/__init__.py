"""The local stack of `make dev`. No deployed code imports it."""
