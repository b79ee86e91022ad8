"""`make dev`: the local stack. Never deployed code's dependency."""
