"""The `data` of each kind of event, as the event catalogue defines it.

These types exist for the type checker. An event from a log may have more fields.
"""
