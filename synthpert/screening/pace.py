"""How long it takes: spans of time and sizes as one says them, and the pace of a screen."""

from __future__ import annotations

import time
from typing import Final

EVERY: Final = 60.0
"""Seconds between two lines of progress where there is no terminal."""


def spell_time(seconds: float) -> str:
    """A span of time with two units at most: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 99.5:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def spell_size(size: float) -> str:
    """Bytes with three digits: 850 kB, 1.20 GB."""
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000 or unit == "GB":
            break
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:,.0f} {unit}"


def spell_rate(rate: float) -> str:
    """Questions a second, or a minute where that says more."""
    number, unit = (rate, "s") if rate >= 1 else (60 * rate, "min")
    return f"{number:,.0f} questions/{unit}" if number >= 10 else f"{number:.2g} questions/{unit}"


class Pace:
    """The rate since the start, told once a minute.

    Args:
        total: Questions there are.
        done: How many of them were answered before.
        clock: What tells the time in seconds.
    """

    def __init__(self, total: int, done: int, now: float | None = None) -> None:
        self.total, self.before, self.done = total, done, done
        self._began = self._told = time.monotonic() if now is None else now

    def add(self, questions: int, now: float | None = None) -> str | None:
        """Count answered questions; a line to tell where one is due."""
        now = time.monotonic() if now is None else now
        self.done = min(self.done + questions, self.total)
        if now - self._told < EVERY:
            return None
        self._told = now
        return self.line(now)

    def line(self, now: float) -> str:
        """How far it is, how fast, and how long what is left will take."""
        rate = (self.done - self.before) / max(now - self._began, 1e-9)
        left = spell_time((self.total - self.done) / rate) if rate else "unknown"
        share = 100 * self.done / self.total
        far = f"{self.done:,} of {self.total:,} questions ({share:.1f} %)"
        return f"{far}, {spell_rate(rate)}, {left} left"
