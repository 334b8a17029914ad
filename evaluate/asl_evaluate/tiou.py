"""tIoU thresholds, as a range or as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from asl_kit.errors import UsageError

MAX_THRESHOLDS = 1000


def parse_tiou(text: str) -> tuple[float, ...]:
    """Return the thresholds that ``LO:HI:STEP`` stands for, both ends included, as exact decimals.

    Raises
    ------
    UsageError
        If these are not three numbers, or 0 < LO <= HI <= 1 does not hold, or no whole number of
        steps leads from LO to HI.

    Examples
    --------
    >>> parse_tiou("0.3:0.7:0.1")
    (0.3, 0.4, 0.5, 0.6, 0.7)
    """
    hint = "for example --tiou 0.3:0.7:0.1"
    try:
        low, high, step = (Decimal(part.strip()) for part in text.split(":"))
    except (ValueError, InvalidOperation):
        raise UsageError(f"--tiou: expected LO:HI:STEP, found '{text}'", hint=hint) from None
    if not all(number.is_finite() for number in (low, high, step)) or not 0 < low <= high <= 1 or step <= 0:
        raise UsageError(f"--tiou: expected 0 < LO <= HI <= 1 and STEP > 0, found '{text}'", hint=hint)
    if (high - low) / step >= MAX_THRESHOLDS:
        raise UsageError(f"--tiou: '{text}' is more than {MAX_THRESHOLDS} thresholds", hint=hint)
    if (high - low) % step:
        raise UsageError(f"--tiou: no whole number of steps of {step} leads from {low} to {high}", hint=hint)
    return tuple(float(low + number * step) for number in range(int((high - low) / step) + 1))


def parse_thresholds(tiou: str | Sequence[float]) -> tuple[float, ...]:
    """Return thresholds, given as ``LO:HI:STEP`` or as numbers.

    Raises
    ------
    UsageError
        If one is not in (0, 1], or there are none.
    """
    if isinstance(tiou, str):
        return parse_tiou(tiou)
    thresholds = tuple(map(float, tiou))
    if not thresholds or not all(0 < threshold <= 1 for threshold in thresholds):
        raise UsageError(f"tiou: expected thresholds in (0, 1], found {list(thresholds)}")
    return thresholds
