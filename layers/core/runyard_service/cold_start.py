"""Imports without collections of garbage. Import this first, and call `end` behind the last import.

What is imported stays. To look for garbage meanwhile is a fourteenth of the API's cold start and
finds none; and any later collection would look through it all again, 70 ms of a worker's time.
"""

import gc

gc.disable()


def freeze_gc() -> None:
    """Collect again from now on, and only among what comes."""
    gc.freeze()
    gc.enable()
