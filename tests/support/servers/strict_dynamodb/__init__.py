"""DynamoDB's documented limits and its transient errors, in front of the DynamoDB emulator.

The emulator accepts some requests that DynamoDB rejects. `hook.install()` adds the missing checks
to every DynamoDB client of a process. The checks see the serialized request, and a rejected
request gets an HTTP response with DynamoDB's error type and message. `faults.py` injects what
DynamoDB returns under load.
"""
