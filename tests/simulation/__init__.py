"""Simulated runs: random interleavings of workers, callers and failures, with the real store.

`test_interleavings.py` has the rules. `test_recorded_simulations.py` repeats them from fixed seeds.
"""
