"""Conversations: the Threads API on the command line."""
