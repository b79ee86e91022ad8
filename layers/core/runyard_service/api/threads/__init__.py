"""The Threads API, served under `/threads/v1`: the same runs and the same log in other shapes."""
