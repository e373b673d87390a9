"""What `fit`, `validate`, `test` and `predict` say of themselves."""

from __future__ import annotations

import argparse
from typing import Any

import jsonargparse

_HELP = """

  synthpert {verb} --config configs/tiny.yaml --run runs/tiny{last}

A later --config overlays an earlier one, and flags overlay both:
  synthpert {verb} --config configs/tiny.yaml --config configs/splits/strict.yaml \\
      --run runs/strict --data.init_args.batch_size 16{last}

Arguments of a class that a YAML names:
  synthpert {verb} --data.help data_modules.traces.TraceDataModule
  synthpert {verb} --trainer.callbacks.help callbacks.generative_evaluation.GenerativeEvaluation
What all of it comes to, without running it: --print_config
"""
_DOES = {
    "fit": "Train a student on traces or on raw tuples.",
    "validate": "The loss of a checkpoint on the validation examples.",
    "test": "Answer the test questions: predictions.parquet in the run's directory.",
    "predict": "Answer questions of your own, up to millions; stopped, the same command goes on.",
}


_MORE = {
    "predict": """

Your own table (columns cell_line, pert, gene; others are kept), or every gene after each of yours:
  synthpert predict --config configs/tiny.yaml --run runs/tiny --ckpt_path last \\
      --questions mine.csv --out mine-answered.csv
  synthpert predict --config configs/tiny.yaml --run runs/tiny --ckpt_path last \\
      --cell-line k562,rpe1 --perts perts.txt --genes all --out screen.parquet --mode direct"""
}


class Help(argparse.RawDescriptionHelpFormatter, jsonargparse.DefaultHelpFormatter):
    """Keeps the lines of the examples."""


def parsers() -> dict[str, dict[str, Any]]:
    """The settings of each verb's parser: usage, description and how it fails."""
    return {
        verb: {
            "usage": f"synthpert {verb} --config FILE [--config OVERLAY] [--run DIR] [--KEY VALUE]",
            "description": does
            + _HELP.format(verb=verb, last="" if verb == "fit" else " --ckpt_path last").rstrip()
            + f"{_MORE.get(verb, '')}\n",
            "exit_on_error": False,
            "allow_abbrev": False,
        }
        for verb, does in _DOES.items()
    }
