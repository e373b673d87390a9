"""The network: what answers within two seconds, and through which proxy. Never a reason to fail."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import os
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tools.doctor.finding import Finding

WITHIN: Final = 2.0
"""Seconds that a host has to answer, looking up its name included."""
_PROXIES: Final = ("https_proxy", "http_proxy", "all_proxy")


@dataclass
class Host:
    """Somebody whom some work needs to reach.

    Attributes:
        what: What the table calls it.
        url: What is asked for, without a key.
        remedy: What to do where it does not answer.
        answered: Whether it did, with whatever code; None while nothing is known.
        ahead: Seconds by which this machine's clock is ahead of its.
    """

    what: str
    url: str
    remedy: str
    answered: bool | None = None
    ahead: float | None = None

    def ask(self) -> None:
        """Ask once; any answer is one, also a refusal."""
        try:
            request = urllib.request.Request(self.url, method="HEAD")
            with urllib.request.urlopen(request, timeout=WITHIN) as answer:
                self._note(answer.headers.get("Date"))
        except urllib.error.HTTPError as error:
            self._note(error.headers.get("Date"))
        except (OSError, ValueError, http.client.HTTPException):
            self.answered = False

    def _note(self, date: str | None) -> None:
        self.answered = True
        with contextlib.suppress(ValueError):
            if date and (told := email.utils.parsedate_to_datetime(date)):
                self.ahead = time.time() - told.timestamp()

    @property
    def finding(self) -> Finding:
        """The table's line."""
        if self.answered:
            return Finding(self.what, "ok", "answers")
        return Finding(self.what, "warn", f"no answer in {WITHIN:g} s", self.remedy)


def hosts() -> list[Host]:
    """The hosts that are asked, from the environment where that names others."""
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    wandb = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    return [
        Host("Hugging Face", hub, "give --model.base a folder; or HF_ENDPOINT, https_proxy"),
        Host("Weights & Biases", wandb, "not needed: runs are written offline; `wandb sync` later"),
    ]


def start(asked: list[Host]) -> list[threading.Thread]:
    """Ask them all at once, in the background.

    Args:
        asked: Whom.
    """
    # Looking a name up knows no time limit, so nobody waits for the threads' ends.
    threads = [threading.Thread(target=host.ask, daemon=True) for host in asked]
    for thread in threads:
        thread.start()
    return threads


def proxies() -> Finding:
    """Which proxies the environment names, without the password that an address may hold."""
    found, state = [], "ok"
    for name in _PROXIES:
        address = os.environ.get(name) or os.environ.get(name.upper())
        if address:
            try:
                host = urlsplit(address if "//" in address else f"//{address}").hostname
            except ValueError:
                host = None
            state = state if host else "warn"
            found.append(f"{name} {host or 'cannot be read'}")
    if state == "warn":
        return Finding("proxies", "warn", ", ".join(found), "an address such as http://host:3128")
    return Finding("proxies", "ok", ", ".join(found) or "none")
