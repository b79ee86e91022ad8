"""The Runs API, served under `/v1`."""
