"""Parse the header `Retry-After`: seconds, or the date of the next attempt.

urllib3's parser is not used: it limits every value to 6 hours, and a webhook's endpoint may request
up to 12 hours.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime

from runyard_service.domain.clock import now


def retry_after_of(header: str | None) -> float | None:
    """Return seconds from now, or None if the header is missing or invalid."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
        # A date without a zone is UTC (RFC 9110).
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now()).total_seconds())
    except (ValueError, OverflowError):
        return None
