"""What the tests of crashes stand on: a state machine in hand, processes that die, and the logs."""
