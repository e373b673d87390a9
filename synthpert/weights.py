"""The weights of a base model, told apart by a sample: all of 16 GB would take minutes to hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

_PLACES = 4
_BYTES = 1024
# Of a file that is no safetensors, and so one long run of bytes to us.
_PLACES_OF_A_FILE = 1024


def weights_digest(base: str) -> str:
    """Twelve hex digits of a base model's weights, as they lie on disk.

    Of every tensor its name, type and shape count, and four kilobytes at fixed places. So neither
    the folder, nor how the weights are split into files, nor the type or quantisation they are
    loaded in makes a difference; training the base further does, as that changes every tensor.

    Args:
        base: Name or folder of a base model that has been loaded here.

    Returns:
        The digits; those of no weights at all, if the files are of an unknown kind.
    """
    from transformers.utils.hub import cached_file

    config = cached_file(base, "config.json", local_files_only=True)
    folder = Path(str(config)).parent
    files = sorted(folder.glob("model*.safetensors"))
    if files:
        samples = sorted(sample for path in files for sample in _tensors(path))
    else:
        samples = [_file(path) for path in sorted(folder.glob("pytorch_model*.bin"))]
    return hashlib.sha256(b"".join(samples)).hexdigest()[:12]


def _tensors(path: Path) -> Iterator[bytes]:
    """A sample of each tensor of a safetensors file, its description first.

    The format: eight bytes of the header's length, the header in JSON, the tensors
    (https://github.com/huggingface/safetensors#format).
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name, tensor in header.items():
            begin, end = tensor["data_offsets"]
            content = hashlib.sha256()
            for place in _places(begin, end, _PLACES):
                file.seek(8 + length + place)
                content.update(file.read(min(_BYTES, end - place)))
            about = json.dumps([name, tensor["dtype"], tensor["shape"]])
            yield about.encode() + content.digest()


def _file(path: Path) -> bytes:
    size = path.stat().st_size
    content = hashlib.sha256(f"{path.name} {size}".encode())
    with path.open("rb") as file:
        for place in _places(0, size, _PLACES_OF_A_FILE):
            file.seek(place)
            content.update(file.read(_BYTES))
    return content.digest()


def _places(begin: int, end: int, count: int) -> list[int]:
    """Evenly spread offsets from the first byte to the last block."""
    last = max(begin, end - _BYTES)
    return [begin + (last - begin) * i // (count - 1) for i in range(count)]
