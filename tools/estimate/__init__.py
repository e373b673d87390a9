"""`synthpert estimate`: what a recipe takes on a GPU, before one is rented or anything downloaded.

Counted, not measured: FLOPs from the base's shape, hours from what share of a GPU's peak training
may reach, bytes from what has to lie on the card.
"""

from __future__ import annotations

from typing import Final

from synthpert.errors import InputError
from tools.building import Flags

# Shares of the peak that training is reckoned to reach: assumed, not measured here.
SHARES: Final = (0.3, 0.45, 0.6)


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `estimate`.

    Returns:
        The exit code.

    Raises:
        InputError: If the recipe, its data, the GPU or the shape is wrong.
    """
    parser = Flags(
        "estimate",
        "Tokens, steps, FLOPs, hours and memory of a recipe on a GPU. Downloads nothing.",
        "--config FILE [--gpu GPU] [--traces N] [--claim-hours H] [--shape SHAPE] [--KEY VALUE]",
        (
            "estimate --config configs/synthpert.yaml --gpu H100",
            "estimate --config configs/paper.yaml --gpu A100 --claim-hours 1.5",
        ),
    )
    parser.add_argument("--gpu", default="A100", help="A100 (default), H100, H200, L40S, ...")
    parser.add_argument("--traces", type=int, help="so many traces of the paper's lengths")
    parser.add_argument("--claim-hours", type=float, help="is this possible?")
    parser.add_argument("--base", help="another base: a name or a folder")
    parser.add_argument(
        "--shape", help="of a base that is not here: its config.json, or that as YAML in braces"
    )
    own, words = parser.parse_known_args(args)
    for flag, value in (("--traces", own.traces), ("--claim-hours", own.claim_hours)):
        if value is not None and not value > 0:
            raise InputError("must be above 0", file=flag, got=value)
    from synthpert.gpus import find_gpu
    from tools.building import build
    from tools.estimate.report import report

    gpu = find_gpu(own.gpu)
    report(build(words, own.base), gpu, own.traces, own.shape, own.claim_hours)
    return 0
