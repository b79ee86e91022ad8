"""The usage of projects by day: exact counters of ended runs.

counters    adds each ended run once
days        reads the counters of days
"""
