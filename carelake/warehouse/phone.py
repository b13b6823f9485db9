"""Phone numbers, written the one international way."""

from __future__ import annotations

import phonenumbers


def e164(number: str | None, region: str | None) -> str | None:
    """`+<country><number>`; None for what is no valid number.

    Args:
        number: as people wrote it.
        region: ISO country it was written in, used when it has no country code.
    """
    if not number:
        return None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
