"""Prompt ids in, completions out: text ids, finish reason and label probabilities.

Every engine follows one protocol; `HFEngine` runs the live transformers model.
"""

from __future__ import annotations

from synthpert.generation.decoding import Completion, Decoding, Engine, FinishReason, Mode
from synthpert.generation.hf import HFEngine

__all__ = ["Completion", "Decoding", "Engine", "FinishReason", "HFEngine", "Mode"]
