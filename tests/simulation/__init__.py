"""Runs under every interleaving that a property test can think of: a store that loses its users, a
state machine that is played move by move, and the rules of the game in `test_interleavings.py`.
"""
