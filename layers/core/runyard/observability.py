"""One logger for all functions: JSON lines with `run_id`, `step` and `sequence` as keys.

Never logged: prompts, replies, tool arguments, answers, tokens, keys; so never a whole event.
"""

import logging

from aws_lambda_powertools import Logger

logger = Logger(service="runyard")

# Modules log through the standard library, under their own names below `runyard`.
_package = logging.getLogger("runyard")
if not _package.handlers:
    _package.handlers = logger.handlers
    _package.setLevel(logger.log_level)
    _package.propagate = False
