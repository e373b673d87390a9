"""Calls and replies as the values of the journal's rows, and back."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from synthpert.redaction import redact, redact_text

if TYPE_CHECKING:
    from tools.traces.journal.records import Call, Finished

START = """
INSERT INTO attempts (key, role, cell_line, pert, gene, label, sample, model, parameters, prompt_id,
    parent, batch, state, reserved, request)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'sent', ?, ?)
"""
# `reserved` stays where the cost may still be that: with a reply, or with a bill that may come.
FINISH = """
UPDATE attempts SET
    state = CASE WHEN ?1 = 'answered' AND EXISTS (
        SELECT 1 FROM attempts AS other WHERE other.key = attempts.key AND other.state = 'answered'
    ) THEN 'duplicate' ELSE ?1 END,
    seconds = ?2, reply = ?3, finish_reason = ?4, prompt_tokens = ?5, completion_tokens = ?6,
    cost = ?7, hidden_thought = ?8, parse = ?9, grade = ?10, error = ?11,
    reserved = CASE WHEN ?12 THEN reserved END
WHERE id = ?13 AND state = 'sent'
"""
ANSWER = """
SELECT reply, finish_reason, prompt_tokens, completion_tokens, cost, COALESCE(hidden_thought, '')
FROM attempts WHERE key = ? AND state = 'answered'
"""


def asked_values(call: Call, batch: str | None, reserved: float | None) -> tuple[object, ...]:
    """Make the values of `START`.

    Args:
        call: What is asked.
        batch: The batch it goes out in, if any.
        reserved: US dollars that it may cost at most.
    """
    about = call.question
    label = None if call.label is None else str(call.label)
    parameters = _without_secrets(json.dumps(call.to.told, sort_keys=True, default=str))
    return (
        *(call.key, call.role, about.cell_line, about.pert, about.gene, label, call.sample),
        *(call.to.model, parameters, call.prompt_id, call.parent, batch, reserved),
        json.dumps(call.messages),
    )


def ended_values(told: Finished) -> tuple[object, ...]:
    """Make the values of `FINISH`.

    Args:
        told: How an attempt ended; its reply goes in word for word, its error without secrets.
    """
    reply, reading = told.reply, told.reading
    said: tuple[object, ...] = (None,) * 6
    if reply is not None:
        tokens = (reply.prompt_tokens, reply.completion_tokens)
        said = (plain(reply.text), plain(reply.finish_reason), *tokens, reply.cost)
        said += (plain(reply.hidden_thought) or None,)
    read = (None, None) if reading is None else (str(reading.parse), plain(reading.grade))
    error = None if told.error is None else plain(redact_text(told.error))
    keeps = reply is not None or told.may_be_billed
    return (str(told.state), told.seconds, *said, *read, error, keeps, told.row)


def plain(value: object) -> object:
    """Make a value that SQLite takes.

    Args:
        value: A text with half a surrogate pair, which is no UTF-8, becomes bytes; nothing else
            changes.
    """
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
    return str(value)


def read_back(value: Any) -> Any:  # noqa: ANN401  (whatever a column holds)
    """Undo `plain`.

    Args:
        value: As SQLite gives it.
    """
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


@lru_cache(64)
def _without_secrets(parameters: str) -> str:
    """An address may carry a password; few models are asked very often, hence the cache."""
    return json.dumps(redact(json.loads(parameters)), sort_keys=True)
