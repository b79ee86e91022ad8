"""The header `Retry-After`: seconds, or the date from which a new attempt makes sense.

urllib3's parser is not used: it limits every value to 6 hours, and a webhook's endpoint may ask for
up to 12.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime

from runyard_service.domain.clock import now


def retry_after_of(header: str | None) -> float | None:
    """Seconds from now; None where the header is missing or says nothing that can be read."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date without a zone is UTC, as RFC 9110 has it.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now()).total_seconds())
