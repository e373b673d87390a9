"""A batch as its provider shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FINAL = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class Look:
    """A batch as the provider shows it.

    Attributes:
        id: The provider's name of it.
        status: validating, in_progress, finalizing, cancelling, or one of `FINAL`.
        total: Its requests; 0 while they are not counted.
        completed: How many of them are answered.
        failed: How many have failed.
        output_file: The provider's name of the file of replies, if there is one.
        error_file: The same of the file of errors.
        code: Why it failed as a whole, in one word.
        words: The same in words.
        seconds: From its creation to its end.
    """

    id: str
    status: str
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file: str | None = None
    error_file: str | None = None
    code: str = ""
    words: str = ""
    seconds: float = 0.0

    @property
    def finished(self) -> int:
        """How many requests are over, one way or the other."""
        return self.completed + self.failed

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in FINAL

    @property
    def is_ending(self) -> bool:
        """Whether there is nothing left to cancel."""
        return self.is_final or self.status in ("finalizing", "cancelling")

    @property
    def lacks_output(self) -> bool:
        """Whether its files are not shown yet, as happens for a moment after the end."""
        lacks_replies = self.completed > 0 and self.output_file is None
        return lacks_replies or (self.failed > 0 and self.error_file is None)


def read_look(told: Any) -> Look:  # noqa: ANN401  (a type of LiteLLM's)
    """Read a batch as LiteLLM shows it.

    Args:
        told: A `LiteLLMBatch`, in the form of OpenAI's.
    """
    counts = told.request_counts
    errors = (told.errors and told.errors.data) or []
    words = "; ".join(str(each.message) for each in errors[:3])
    ends = [getattr(told, f"{status}_at", None) for status in FINAL]
    end = max((at for at in ends if at), default=None)
    return Look(
        id=told.id,
        status=told.status,
        total=counts.total if counts else 0,
        completed=counts.completed if counts else 0,
        failed=counts.failed if counts else 0,
        output_file=told.output_file_id,
        error_file=told.error_file_id,
        code=str(errors[0].code or "") if errors else "",
        words=words,
        seconds=float(end - told.created_at) if end else 0.0,
    )
