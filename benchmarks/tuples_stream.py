"""Raw tuples: seconds to the first batch, and memory as batches go by, beside encoding up front.

    python benchmarks/tuples_stream.py --data DIR

Each way runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH = 256
SHOWN = (1, 100, 1000)


def main() -> None:
    """Measure one way, or both in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--way", choices=("lazy", "up_front"))
    options = parser.parse_args()
    if options.way:
        measure(options.data, options.way)
        return
    for way in ("lazy", "up_front"):
        words = [sys.executable, __file__, "--data", str(options.data), "--way", way]
        subprocess.run(words, check=True)


def measure(data: Path, way: str) -> None:
    """Print the figures of one way of feeding the same examples to a student."""
    import lightning as L

    from data_modules.batching import ShuffledBatches, collate
    from data_modules.tuples import TupleDataModule
    from synthpert.bases import ensure_scratch
    from synthpert.scratch import Scratch
    from synthpert.student import Student

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        student = Student(str(base), "compact", dtype="float32")
        options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = L.Trainer(accelerator="cpu", **options)
        trainer.strategy.connect(student)
        words, module = (
            TupleDataModule(data=data, batch_size=BATCH, validation_share=0.0) for _ in range(2)
        )
        words.trainer = module.trainer = trainer
        ensure_scratch(base, Scratch(16, 1, 2, 16), words.texts(student.prompts))
        del words
        assert student.encoder is not None
        before = resident()
        start = time.perf_counter()
        module.setup("fit")  # reads the benchmark's files
        loader = iter(module.train_dataloader())
        if way == "up_front":
            assert module.train is not None
            rows = [row for batch in loader for row in unpadded(batch)]
            order = ShuffledBatches(len(rows), BATCH, 0)
            loader = (collate([rows[i] for i in batch], 0) for batch in order)
        for number in range(1, SHOWN[-1] + 1):
            batch = next(loader, None)
            if batch is None:
                break
            if number == 1:
                seconds = time.perf_counter() - start
                count = len(module.train) if module.train is not None else 0
                print(f"{way}: {count:,} tuples, first batch after {seconds:.2f} s")
            if number in SHOWN:
                now = resident()
                print(f"  after batch {number:>5,}: {now:,.0f} MB ({now - before:+,.0f})")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  batches {number:,}, {time.perf_counter() - start:.1f} s, peak {peak:,.0f} MB")


def unpadded(batch: dict) -> list:
    """The examples of a batch, as a data set that encodes up front holds them."""
    from data_modules.batching import LabelledExample
    from synthpert.encoding import Example

    rows = []
    for i, length in enumerate(batch["lengths"].tolist()):
        ids, labels = (batch[name][i, :length].tolist() for name in ("input_ids", "labels"))
        example = Example(ids, labels, int(batch["answer_start"][i]))
        rows.append(LabelledExample(example, int(batch["label"][i])))
    return rows


def resident() -> float:
    """Memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
