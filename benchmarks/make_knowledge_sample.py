"""Make the bundled knowledge sample from the full files; the same files give the same bytes.

    python benchmarks/make_knowledge_sample.py KNOWLEDGE [OUT]    # OUT: synthpert/sample/knowledge

For the questions of the bundled sample: gene sets of up to 200 genes are kept whole, with their
true sizes, where they hold a perturbation; of the network the perturbations' edges and one shortest
path for each pair asked about, so that distances are the full network's; names of the genes asked
about.
Only sources whose licence allows it: Reactome, Gene Ontology, STRING, NCBI Gene. Never CORUM.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from synthpert.files import whole_file
from synthpert.questions import read_questions
from synthpert.tables import read_text_table

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE = Path(__file__).resolve().parent.parent / "synthpert" / "sample"
SETS = {
    "reactome_pathways.gmt.gz": "reactome_pathways.gmt.gz",
    "go_biological_process_2021_enrichr.gmt.gz": "go_biological_process_2021.gmt.gz",
}
NETWORK = ("string_v12_nontextmining_edges_symbol.tsv.gz", "string_v12_sample.tsv.gz")
NAMES = ("gene_names_human_ncbi_2016.tsv.gz", "gene_names_ncbi_2016.tsv.gz")
LARGEST_SET = 200  # genes; what is larger says least and takes most bytes
LARGEST = 250_000  # bytes, all files together


def useful_sets(path: Path, perts: set[str]) -> Iterator[str]:
    """The lines of a .gmt file whose set holds a perturbation and is not too large."""
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        genes = line.split("\t")[2:]
        if 1 < len(set(genes)) <= LARGEST_SET and not perts.isdisjoint(genes):
            yield line


def useful_edges(path: Path, questions: pl.DataFrame) -> pl.DataFrame:
    """The edges of perturbations, and a shortest path of up to three for each pair asked about."""
    table = read_text_table(path, ["gene1", "gene2"], "\t")
    near: dict[str, set[str]] = {}
    for one, two in table.select("gene1", "gene2").iter_rows():
        near.setdefault(one, set()).add(two)
        near.setdefault(two, set()).add(one)
    kept = {edge(pert, other) for pert in set(questions["pert"]) for other in near.get(pert, ())}
    pairs = questions.select("pert", "gene").unique().sort("pert", "gene")
    for pert, gene in pairs.iter_rows():
        kept.update(path_edges(near, pert, gene))
    return pl.DataFrame(sorted(kept), ["gene1", "gene2"], orient="row")


def path_edges(near: dict[str, set[str]], pert: str, gene: str) -> list[tuple[str, str]]:
    """The edges of a shortest path but its first, which is kept anyway."""
    mine, theirs = near.get(pert, set()), near.get(gene, set())
    if gene in mine or not mine or not theirs:
        return []

    def rarest(genes: set[str]) -> str:
        return min(genes, key=lambda name: (len(near[name]), name))

    if mine & theirs:
        return [edge(rarest(mine & theirs), gene)]
    between = {last for last in theirs if near[last] & mine}
    if not between:
        return []
    last = rarest(between)
    return [edge(rarest(near[last] & mine), last), edge(last, gene)]


def edge(one: str, other: str) -> tuple[str, str]:
    """An edge, its genes in alphabetical order."""
    return (one, other) if one < other else (other, one)


def write(path: Path, text: str) -> int:
    """Write a gzipped file without a time in it; give its size."""
    packed = gzip.compress(text.encode(), 9, mtime=0)
    with whole_file(path) as place:
        place.write_bytes(packed)
    return len(packed)


def main() -> None:
    """Write the four files; print their sizes."""
    if len(sys.argv) < 2:
        sys.exit("usage: python benchmarks/make_knowledge_sample.py KNOWLEDGE [OUT]")
    source = Path(sys.argv[1])
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else SAMPLE / "knowledge"
    out.mkdir(parents=True, exist_ok=True)
    questions = read_questions(SAMPLE)
    perts = set(questions["pert"])
    genes = perts | set(questions["gene"])
    sizes = {}
    for theirs, ours in SETS.items():
        lines = sorted(useful_sets(source / theirs, perts))
        sizes[ours] = write(out / ours, "\n".join(lines) + "\n")
    edges = useful_edges(source / NETWORK[0], questions)
    sizes[NETWORK[1]] = write(out / NETWORK[1], edges.write_csv(separator="\t"))
    names = read_text_table(source / NAMES[0], ["symbol", "full_name"], "\t")
    names = names.filter(pl.col("symbol").is_in(genes)).select("symbol", "full_name")
    sizes[NAMES[1]] = write(out / NAMES[1], names.sort("symbol").write_csv(separator="\t"))
    for name, size in sizes.items():
        print(f"{size:8} bytes  {name}")
    print(f"{sum(sizes.values()):8} bytes in all, at most {LARGEST}")
    if sum(sizes.values()) > LARGEST:
        sys.exit("the sample is too large to ship")


if __name__ == "__main__":
    main()
