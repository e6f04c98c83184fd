"""Texts that can be sent: what every name that a client asks for must be."""

from __future__ import annotations

from featurestore.errors import InvalidReference


def check_text(what: str, text: object) -> None:
    if text is not None and not is_text(text):
        raise InvalidReference(f"{text!r:.80} can not be {what}")


def is_text(text: object) -> bool:
    """Half of a surrogate pair is a str, but no text that could be sent."""
    if not isinstance(text, str):
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
