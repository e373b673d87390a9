"""The results of batches that are over: each line goes to its call's row, and is counted."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthpert.errors import StoppedError
from synthpert.questions import Question
from tools.traces.batches.parts import read_lines
from tools.traces.journal.records import Call, Finished, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tools.traces.batches.endpoint import Endpoint
    from tools.traces.batches.look import Look
    from tools.traces.batches.parts import Line
    from tools.traces.journal import Journal
    from tools.traces.journal.records import BatchRecord, Reading, Reply

# Lines of a file of results that are committed together.
_TOGETHER = 500
# A call whose line has failed so often in one run is left to the next.
_MOST_FAILURES = 2
# OpenAI's word for more tokens than it will have waiting: the part was too large, not wrong.
_TOO_MUCH = "token_limit_exceeded"


@dataclass(frozen=True)
class Ended:
    """A batch that is over.

    Attributes:
        record: Ours.
        look: The provider's.
        endpoint: Whom it asked.
        rows: The journal's rows that are not finished yet, by key.
        keys: Those of all rows that were not finished before.
    """

    record: BatchRecord
    look: Look
    endpoint: Endpoint
    rows: dict[str, int]
    keys: frozenset[str]

    @property
    def asked(self) -> Call:
        """As much of a call as decides how a reply reads: its role and its model."""
        nobody = Question("", "", "")
        return Call(self.record.role, nobody, None, 0, self.endpoint.model, [], "")

    @property
    def is_too_much(self) -> bool:
        """Whether the provider has no room for so many tokens at once."""
        return self.look.code == _TOO_MUCH

    @property
    def why(self) -> str:
        """How it ended, in words."""
        words = f": {self.look.words}" if self.look.words else ""
        return f"the batch is {self.look.status}{words}"


class Results:
    """Takes the results of batches, and counts them.

    Args:
        journal: Open for writing.
        read: How a reply reads, for the journal; it sees the call's role and model alone.

    Attributes:
        last_error: The provider's latest words about a line or a batch.
        stopped: Why no more should be sent, if a line says so: key or quota.
    """

    def __init__(self, journal: Journal, read: Callable[[Call, Reply], Reading]) -> None:
        self.last_error = ""
        self.stopped: StoppedError | None = None
        self._journal = journal
        self._read = read
        self._tally: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    @property
    def told(self) -> str:
        """What has come of the lines so far, in words."""
        return ", ".join(f"{n:,} {what}" for what, n in self._tally.items() if n) or "no line"

    @property
    def given_up(self) -> int:
        """How many calls have failed too often in this run."""
        return sum(count >= _MOST_FAILURES for count in self._failures.values())

    def has_given_up(self, key: str) -> bool:
        """Whether a call has failed too often in this run.

        Args:
            key: The call's.
        """
        return self._failures[key] >= _MOST_FAILURES

    async def take(self, record: BatchRecord, look: Look, endpoint: Endpoint) -> Ended:
        """Write down how each call of a batch that is over has ended.

        A run that is killed in here takes the rest of the lines when it is started again.

        Args:
            record: Ours.
            look: The provider's.
            endpoint: Whom it asked.

        Raises:
            GoneError: If the provider does not know its files.
        """
        files = {"output_file": look.output_file, "error_file": look.error_file}
        self._journal.update_batch(record.id, **files)
        rows = self._journal.batch_rows(record.id)
        ended = Ended(record, look, endpoint, rows, frozenset(rows))
        for name in filter(None, files.values()):
            with await endpoint.download(name) as file:
                lines = read_lines(file, endpoint.model, endpoint.price)
                while some := list(itertools.islice(lines, _TOGETHER)):
                    self._write_down(some, ended)
                    await asyncio.sleep(0)
        self._lose_rest(ended)
        return ended

    def lose(
        self, rows: Mapping[str, int], why: str, seconds: float = 0.0, *, may_be_billed: bool
    ) -> None:
        """Write down that nothing is known of calls, which are asked again.

        Args:
            rows: The journal's rows, by key.
            why: In words.
            seconds: From sending to the end.
            may_be_billed: Whether they may cost what was reserved all the same.
        """
        self._tally["not done"] += len(rows)
        self._journal.finish_many(
            Finished(row, State.LOST, seconds, error=why, may_be_billed=may_be_billed)
            for row in rows.values()
        )

    def _write_down(self, lines: Sequence[Line], of: Ended) -> None:
        finished = []
        for line in lines:
            row = of.rows.pop(line.key, None)
            if row is None:
                self._count_other(line, of)
                continue
            self._tally[str(line.state)] += 1
            if line.error is not None:
                self.last_error = line.error
                # What is refused would be refused again.
                is_final = line.state is State.REFUSED
                self._failures[line.key] += _MOST_FAILURES if is_final else 1
            if line.state is State.STOPPED:
                self.stopped = StoppedError(f"{of.record.model}: {line.error}")
            reading = self._read(of.asked, line.reply) if line.reply else None
            told = (of.look.seconds, line.reply, reading, line.error, line.may_be_billed)
            finished.append(Finished(row, line.state, *told))
        self._journal.finish_many(finished)

    def _count_other(self, line: Line, of: Ended) -> None:
        if not line.key:
            self._tally["unreadable lines"] += 1
        elif line.key in of.keys:
            self._tally["second lines of a call"] += 1
        elif self._journal.answer(line.key) is None:
            # An answered one was taken by a run that was killed before it had them all.
            self._tally["lines of unknown calls"] += 1

    def _lose_rest(self, of: Ended) -> None:
        if not of.rows:
            return
        # A line that is in neither file of a completed batch was answered, for all we know.
        may_be_billed = of.look.status == "completed" or of.look.lacks_output
        self.lose(of.rows, of.why, of.look.seconds, may_be_billed=may_be_billed)
        self.last_error = of.why
        if not of.is_too_much:
            self._failures.update(of.rows.keys())
