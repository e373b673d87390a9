"""To the Hugging Face hub: the traces, their card and the licence, as a private data set."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import synthpert.sample
from synthpert.errors import InputError, StoppedError
from synthpert.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKEN = "HF_TOKEN"
# The benchmark's licence: whoever passes its rows on must pass that on too.
LICENCE = "LICENSE.txt"


def read_token() -> str:
    """The hub's token, from the environment and nowhere else.

    Raises:
        InputError: If there is none.
    """
    token = os.environ.get(_TOKEN, "").strip()
    if not token:
        # Not "HF_TOKEN: no …": what stands behind such a name is taken for it, and blotted out.
        raise InputError("the hub wants a token", expected=f"one in the environment, as {_TOKEN}")
    return token


def push(name: str, files: Sequence[Path], card: Path) -> str:
    """Upload files as a data set; a new one is made private, one that is there is added to.

    Args:
        name: USER/NAME.
        files: The traces, in one or more forms.
        card: The data card, which becomes README.md.

    Returns:
        The address of the data set.

    Raises:
        InputError: If there is no token.
        StoppedError: If the hub cannot be reached or refuses; the files stay, to be pushed again.
    """
    try:
        # The traces' own files only, whatever else lies beside them.
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                shutil.copy(file, folder)
            shutil.copy(card, Path(folder) / "README.md")
            shutil.copy(Path(synthpert.sample.__file__).with_name(LICENCE), folder)
            return upload(name, Path(folder), "dataset", "Traces by synthpert traces export")
    except OSError as error:
        raise StoppedError(f"{name}: not pushed: {error}") from None


def upload(name: str, folder: Path, kind: Literal["dataset", "model"], message: str) -> str:
    """Upload all of a folder; a new repository is made private, one that is there is added to.

    Args:
        name: USER/NAME.
        folder: What it is to hold.
        kind: Of the repository.
        message: Of the commit.

    Returns:
        Its address.

    Raises:
        InputError: If there is no token.
        StoppedError: If the hub cannot be reached or refuses.
    """
    token = read_token()
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    api = HfApi(token=token, library_name="synthpert")
    try:
        address = api.create_repo(name, repo_type=kind, private=True, exist_ok=True)
        api.upload_folder(repo_id=name, repo_type=kind, folder_path=folder, commit_message=message)
    except (httpx.HTTPError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        # The last three: an answer in other JSON than the hub's, as a gateway before it may give.
        said = redact_text(" ".join(str(error).replace(token, "***").split()))[:300]
        raise StoppedError(f"{name}: not pushed: {said or type(error).__name__}") from None
    return str(address)
