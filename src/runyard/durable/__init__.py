"""Durable agents: the user's own code, whose operations Runyard records in the log of a run.

The code runs again from its start in each invocation. An operation that the journal contains
returns its recorded result. This package needs the standard library only.
"""
