"""Evidence in the prompts must be of the questions that are trained on and asked."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from synthpert.errors import InputError
from synthpert.questions import find_data

if TYPE_CHECKING:
    from synthpert.prompts import PromptSet

log = logging.getLogger(__name__)


def refuse_other_evidence(prompts: PromptSet, data: Path | None, split: str) -> None:
    """Refuse evidence of other questions than these, which could show a test label.

    Args:
        prompts: The student's.
        data: The benchmark's folder, as the data module has it.
        split: Its split.

    Raises:
        InputError: If the student's evidence is of another folder or split.
    """
    evidence = prompts.evidence
    if evidence is None:
        return
    for name, theirs, ours in (
        ("data", find_data(evidence.data).resolve(), find_data(data).resolve()),
        ("split", evidence.split, split),
    ):
        if theirs != ours:
            raise InputError(
                f"the prompts' evidence is of another {name} than the questions",
                column=f"model.evidence.{name}",
                got=str(theirs),
                expected=str(ours),
            )
    # Read now: workers are forked later, and a forked process cannot run polars.
    log.info("evidence %s in the prompts", evidence.fingerprint)
