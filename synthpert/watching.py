"""Where a run can be watched: metrics.csv in its folder always, Weights & Biases where it is there.

W&B goes online only with a key and a server that answers; otherwise it writes offline into the
run's folder, and one line says why. No secret of a configuration or of the command line reaches
either.
"""

from __future__ import annotations

import csv
import http.client
import importlib.util
import logging
import netrc
import os
import sys
import threading
import urllib.error
import urllib.request
import warnings
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.redaction import redact, redact_arguments

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

log = logging.getLogger(__name__)

ANSWER_WITHIN = 10.0
"""Seconds the W&B server has to answer, name look-up and redirects included."""


@dataclass(frozen=True)
class Watch:
    """How a run is watched in Weights & Biases.

    Args:
        project: The W&B project.
        name: Name of the run there; its folder's name if null.
        group: Runs that belong together, such as the splits of one experiment.
        mode: `auto` is online with a key (`WANDB_API_KEY`, or `wandb login`) and a server that
            answers, otherwise offline; `disabled` leaves W&B out.
    """

    project: str = "synthpert"
    name: str | None = None
    group: str | None = None
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"


def loggers(run: Path, watch: Watch) -> list[Logger]:
    """Make the loggers of a run.

    Args:
        run: The run's folder; receives metrics.csv, hparams.yaml and, from W&B, wandb/.
        watch: What W&B is told.

    Returns:
        The CSV logger, and W&B's where it is installed and not disabled. Neither has written or
        started anything yet.

    Raises:
        InputError: If W&B is asked for by name and is not installed.
    """
    made: list[Logger] = [MetricsFile(run)]
    mode = _mode(run, watch)
    if mode != "disabled":
        made.append(RedactedWandb(run, watch, mode))
    return made


class MetricsFile(CSVLogger):
    """metrics.csv and hparams.yaml straight in the run's folder.

    A run that is resumed in its folder goes on in the same file: Lightning's logger would delete
    what was measured before. Steps between the last checkpoint and the stop stand there twice.
    """

    def __init__(self, run: Path) -> None:
        # Each row at once: a kill would take what is kept in memory, and no resumed run logs it.
        super().__init__(run, name="", version="", flush_logs_every_n_steps=1)

    @property
    def experiment(self) -> Any:  # noqa: ANN401 - as Lightning's
        """The writer, which keeps the rows of an earlier start."""
        if self._experiment is None and _rank() == 0:
            self._experiment = _Continued(self.log_dir)
        return super().experiment

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace | None = None) -> None:
        """Write hparams.yaml without secrets."""
        super().log_hyperparams(redact(params))


class _Continued(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if not path.exists():
            return
        rows = path.read_bytes()
        whole = rows[: rows.rfind(b"\n") + 1]
        if whole != rows:  # killed while it wrote the last row
            path.write_bytes(whole)
        if whole:
            self.metrics_keys = whole.decode().splitlines()[0].split(",")
        else:
            path.unlink()

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        # Whole or not at all: a kill while Lightning writes it anew would take every row.
        with whole_file(path) as place, place.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=fieldnames)
            writer.writeheader()
            writer.writerows(rows)


class RedactedWandb(WandbLogger):
    """Lightning's W&B logger, told nothing that looks like a secret.

    The console is not captured: whatever another library prints would be stored unread.
    """

    def __init__(self, run: Path, watch: Watch, mode: str) -> None:
        # `mode` rather than Lightning's `offline`, which would set WANDB_MODE for the whole process
        super().__init__(
            name=watch.name or run.resolve().name,
            save_dir=run,
            project=watch.project,
            group=watch.group,
            mode=mode,
            settings={"console": "off", "silent": mode == "offline", "disable_code": True},
        )
        # W&B prints a warning about this setting, which Lightning passes even where it is unset
        self._wandb_init.pop("anonymous", None)

    @property
    def experiment(self) -> Any:  # noqa: ANN401 - as Lightning's
        """The W&B run, started when first asked for; W&B stores the command line with it."""
        if self._experiment is None and _rank() == 0:
            Path(str(self.save_dir)).mkdir(parents=True, exist_ok=True)  # else W&B warns of it
        given, sys.argv = sys.argv, redact_arguments(sys.argv)
        try:
            return super().experiment
        finally:
            sys.argv = given

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Send the configuration without secrets."""
        super().log_hyperparams(redact(params))


def _mode(run: Path, watch: Watch) -> str:
    """Decide on online, offline or disabled; says why where that was not asked for."""
    if watch.mode == "disabled":
        return "disabled"
    if importlib.util.find_spec("wandb") is None:
        if watch.mode != "auto":
            raise InputError(
                "wandb is not installed",
                column="watch.mode",
                got=watch.mode,
                expected="pip install 'synthpert[wandb]', or mode disabled",
            )
        _say("W&B is not installed: the run is watched in %s", run / "metrics.csv")
        return "disabled"
    if watch.mode != "auto":
        return watch.mode
    asked = os.environ.get("WANDB_MODE", "").lower()
    if asked in ("offline", "dryrun", "disabled"):
        _say("W&B is %s: WANDB_MODE says so", "disabled" if asked == "disabled" else "offline")
        return "disabled" if asked == "disabled" else "offline"
    if _rank() != 0:
        return "offline"  # only rank 0 starts a run
    why = _unreachable()
    if why is None:
        return "online"
    _say("W&B is offline: %s; send the run later with: wandb sync %s/wandb/offline-run-*", why, run)
    return "offline"


def _rank() -> int:
    return int(getattr(rank_zero_only, "rank", 0))


@rank_zero_only
def _say(line: str, *args: object) -> None:
    log.info(line, *args)


def _unreachable() -> str | None:
    """Why W&B cannot be used online, or None."""
    server = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    if not _has_key(urlparse(server).hostname or ""):
        return "there is no key (set WANDB_API_KEY, or run wandb login)"
    found: list[str | None] = []
    # A thread, because no timeout of a socket bounds the look-up of a name or a slow trickle
    probe = threading.Thread(target=lambda: found.append(_ask(server)), daemon=True)
    probe.start()
    probe.join(ANSWER_WITHIN)
    return found[0] if found else f"{server} did not answer within {ANSWER_WITHIN:.0f} s"


def _has_key(host: str) -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    given = os.environ.get("NETRC")
    for path in [Path(given)] if given else [Path("~/.netrc"), Path("~/_netrc")]:
        try:
            if netrc.netrc(str(path.expanduser())).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _ask(server: str) -> str | None:
    """Ask the server for anything; every reply that is not a failure of its own will do."""
    try:
        with urllib.request.urlopen(server, timeout=ANSWER_WITHIN):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code < 500 else f"{server} answers {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{server} cannot be reached ({getattr(error, 'reason', error)})"


def quieten() -> None:
    """Keep what others print on every start from burying what matters."""
    import transformers

    lightnings = ("lightning.pytorch", "lightning.fabric", "lightning")
    for name in lightnings:
        # They print through handlers of their own what then reaches ours a second time.
        logging.getLogger(name).handlers.clear()
    ours = ("synthpert", "callbacks", "data_modules") if getattr(rank_zero_only, "rank", 0) else ()
    for name in (*lightnings, *ours):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    # `ShuffledBatches` takes its place from the loops' progress, not from a loader's state.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    warnings.filterwarnings("ignore", message="The dirpath has changed from.*")
    # What transformers and bitsandbytes say of themselves on import.
    warnings.filterwarnings("ignore", message=".*`is_gradient_checkpointing` is deprecated.*")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # `on_train_start` puts them in train mode.
    warnings.filterwarnings("ignore", message=".*module.s. in eval mode at the start.*")
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
