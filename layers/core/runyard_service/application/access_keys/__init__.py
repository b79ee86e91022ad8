"""Use cases that manage access keys over HTTP."""
