"""The commands. Each module imports the service only inside the functions that need it."""
