"""Input requests: list, show and answer what runs ask people."""
