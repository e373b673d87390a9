"""`synthpert serve`: a local page that asks a trained student, and shows what else is known."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tools.building import Flags

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `serve`.

    Returns:
        The exit code.

    Raises:
        InputError: If there is no run, no Gradio, no free port, or a wrong flag.
    """
    parser = Flags(
        "serve",
        "A local page that asks the student of a run, one question or a pasted list.",
        "--run RUN [--ckpt last] [--data DIR] [--host 127.0.0.1] [--port 7860]",
        (
            "serve --run runs/tiny",
            "serve --run runs/synthpert --ckpt runs/synthpert/checkpoints/last.ckpt --port 8080",
        ),
    )
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--ckpt", default="last", help="a checkpoint, or `last` (default) for the newest"
    )
    parser.add_argument("--base", help="where the base lies now, if it has been moved")
    parser.add_argument("--data", type=Path, help="the benchmark's folder; by default the run's")
    parser.add_argument("--split", help="default, strict or held_out:CELL; by default the run's")
    parser.add_argument("--traces", type=Path, help="a trace file; by default the run's")
    parser.add_argument("--knowledge", type=Path, help="folder of knowledge files")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; beyond this machine with a token"
    )
    parser.add_argument("--port", type=_port, default=7860, help="default: 7860")
    parser.add_argument(
        "--token",
        default=os.environ.get("SYNTHPERT_SERVE_TOKEN") or None,
        help="asked of visitors; better by SYNTHPERT_SERVE_TOKEN, which no list of processes shows",
    )
    own, words = parser.parse_known_args(args)
    serve(own, words)
    return 0


def serve(own: argparse.Namespace, words: Sequence[str]) -> None:
    """Load the student, and serve its page until interrupted.

    Args:
        own: The flags of this verb.
        words: What else `fit` is to know, such as `--import-from`.

    Raises:
        InputError: As `main` says.
    """
    # All that can be wrong with an address is told before the minutes that the weights take.
    from tools.serve.address import listen, require_gradio, token_for

    require_gradio()
    listening = listen(own.host, own.port)
    token = token_for(own.host, own.token)
    with listening:
        from tools.serve.opening import open_page
        from tools.serve.serving import run

        run(open_page(own, words), listening, own.host, token)


def _port(text: str) -> int:
    number = int(text) if text.isdigit() else -1
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"no port: {text!r} (expected 1 to 65535, 0 for any)")
    return number
