"""`synthpert export`: a trained student in a form that other programs load, with a model card.

Adapters in PEFT's layout, or a model of transformers into which a copy of them was merged. Either
comes with tokenizer, card and checksums, in a folder that is there whole or not at all.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tools.building import Flags

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

log = logging.getLogger(__name__)


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `export`.

    Returns:
        The exit code.

    Raises:
        InputError: If there is no run, no good checkpoint, no empty place to write to, or the
            merged model does not answer as the adapters do.
        StoppedError: If the hub does not take the folder, which is written by then.
    """
    parser = Flags(
        "export",
        "The adapters of a run, or its base with a copy of them merged in; card and checksums.",
        "--run RUN --out DIR [--what adapter|merged] [--ckpt_path FILE] [--push USER/NAME]",
        (
            "export --run runs/synthpert --out export/adapter",
            "export --run runs/synthpert --out export/merged --what merged",
        ),
    )
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument("--out", required=True, type=Path, help="folder to write; empty or new")
    parser.add_argument("--what", default="adapter", choices=("adapter", "merged"))
    parser.add_argument(
        "--ckpt_path", default="last", help="a checkpoint, or `last` (default) for the newest"
    )
    parser.add_argument("--base", help="where the base lies now, if it has been moved")
    parser.add_argument("--push", help="USER/NAME of a private model on the Hugging Face hub")
    own, words = parser.parse_known_args(args)
    export(own, words)
    return 0


def export(own: Namespace, words: Sequence[str]) -> None:
    """Write the folder, and push it where that is asked for.

    Args:
        own: The flags of this verb.
        words: What else `fit` is to know, such as `--import-from`.

    Raises:
        InputError: As `main` says.
        StoppedError: As `main` says.
    """
    # Before the minutes that the weights take.
    from synthpert.files import seal
    from tools.export.folder import refuse_taken, whole_folder

    refuse_taken(own.out)
    if own.push:
        from tools.traces.export.hub import read_token, upload

        read_token()
    from tools.export.card import write_card
    from tools.export.loading import load_trained
    from tools.export.writing import write_adapter, write_merged

    trained = load_trained(own.run, own.ckpt_path, own.base, words)
    write = {"adapter": write_adapter, "merged": write_merged}[own.what]
    with whole_folder(own.out) as place:
        checked = write(trained, place)
        write_card(trained, own.what, checked, place, own.out.absolute().name)
        seal(place)
    log.info("%s: %s of step %s of %s", own.out, own.what, f"{trained.step:,}", own.run)
    if own.push:
        log.info("pushed: %s", upload(own.push, own.out, "model", "By synthpert export"))
