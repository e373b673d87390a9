"""Peak memory of `predict` as the questions grow: does it stay where it is?

    python benchmarks/screening_memory.py                       # 100 thousand, 1 and 10 million
    python benchmarks/screening_memory.py 100000 1000000

Each row is a process of its own: the trainer, the data module and the writer of `predict`, and a
student that answers at once, so that what is measured is the way of the questions and not the
model. Questions come from a CSV with a column of the user's, or as a product of lists; the answers
end in one Parquet file, with a reasoning of 200 characters each. Peak resident memory is the
kernel's; the first row of each source, 1,000 questions, is what the programs themselves take.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZES = (100_000, 1_000_000, 10_000_000)
PART = 2048
GENES = 10_000


def write_table(path: Path, count: int) -> None:
    """A CSV of so many questions, in no order that anything could lean on."""
    with path.open("w", encoding="utf-8") as file:
        file.write("note,cell_line,pert,gene\n")
        for begin in range(0, count, 100_000):
            rows = range(begin, min(begin + 100_000, count))
            lines = (f"well {i % 384},k562,PERT{i // GENES},GENE{i % GENES}\n" for i in rows)
            file.write("".join(lines))


def answer(source: str, count: int, folder: Path) -> None:
    """Answer so many questions of a source, and print what it took."""
    import lightning as L
    import polars as pl

    from callbacks.prediction_writer import PredictionWriter
    from data_modules.tuples import TupleDataModule
    from synthpert.predictions.rows import complete
    from synthpert.screening.product import Product
    from synthpert.student import Student

    class Instant(Student):
        """Knows every answer at once, and reasons at length."""

        def configure_model(self) -> None:
            """No weights."""

        def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, pl.DataFrame]:
            """Down, with much ado."""
            probabilities = {"p_not_de": 0.25, "p_up": 0.25, "p_down": 0.5}
            table = batch["questions"].with_columns(
                answer=pl.lit("downregulated"),
                reasoning=pl.concat_str("pert", pl.lit(" acts on "), "gene").str.pad_end(200, "."),
                **{name: pl.lit(value) for name, value in probabilities.items()},
            )
            return {"predictions": complete(table)}

    options: dict[str, Any] = {"questions": folder / "mine.csv"}
    if source == "product":
        (folder / "perts.txt").write_text("".join(f"PERT{i}\n" for i in range(count // 1000)))
        (folder / "genes.txt").write_text("".join(f"GENE{i}\n" for i in range(1000)))
        lists = Product(["k562"], folder / "perts.txt", str(folder / "genes.txt"))
        options = {"product": lists}
    else:
        write_table(folder / "mine.csv", count)
    place = folder / "out.parquet"
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[PredictionWriter(str(place))],
    )
    began = time.perf_counter()
    data = TupleDataModule(eval_batch_size=PART, part_size=PART, **options)
    trainer.predict(Instant("none", "compact"), data)
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    rows = pl.scan_parquet(place).select(pl.len()).collect().item()
    print(json.dumps({"rows": rows, "peak": peak, "seconds": seconds}))


def main() -> None:
    """Print a table, a row a source and a size."""
    if sys.argv[1:2] == ["--one"]:
        answer(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
        return
    sizes = [*map(int, sys.argv[1:])] or SIZES
    print("| source | questions | peak memory, MB | seconds | questions/s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for source in ("product", "CSV"):
        for count in (1000, *sizes):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, __file__, "--one", source, str(count), folder]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])
            found = json.loads(done.stdout.splitlines()[-1])
            assert found["rows"] == count
            rate = count / found["seconds"]
            row = (f"{count:,}", f"{found['peak'] / 1e6:.0f}", f"{found['seconds']:.0f}")
            print(f"| {source} | {' | '.join(row)} | {rate:,.0f} |", flush=True)


if __name__ == "__main__":
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    main()
