"""Output for a terminal, a pipe, a JSON reader or a script that wants ids."""
