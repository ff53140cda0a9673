"""The function's entry point."""

from typing import Any, Final

EXAMPLE: Final = {"type": "order.created", "data": {"id": 1}}


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the event."""
    return event
