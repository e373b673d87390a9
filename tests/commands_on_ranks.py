"""Several commands, one after another, in a process that torchrun started: `... COMMANDS.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from synthpert.__main__ import main

if __name__ == "__main__":
    for words in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        if code := main(words):
            sys.exit(code)
