"""The models of frameworks whose requests `ctx.call_model` makes."""
