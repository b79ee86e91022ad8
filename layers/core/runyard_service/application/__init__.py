"""The use cases of runs: one module for each use case."""
