"""Questions a second of each mode beside plain one-by-one `generate`, in one run.

    python benchmarks/modes.py [--rounds 5] [--threads 1] [--thought 150] [--batch 16]

A Llama of about 10 M parameters is made on the spot, with the words of the bundled sample, and
answers its test questions under the paper's prompts. It is untrained; so that it writes what a
trained one would, the last id alone decides the next: a thought of `--thought` tokens and an
answer, or the bare answer. The ways:

- `generate, thought`: transformers' `generate`, one question at a time, thought and answer;
- `generate, bare`: the same of the bare answer, without the thought;
- `reason`, `vote` (five samples), `direct`: the student's modes, label probabilities included.

Each round runs all ways, each time beginning with another one, and a ratio is that of two ways in
one round: of CPU time, since a busy machine's wall clock says little. Medians are printed. The slow
ways get fewer questions. Texts of `reason` must be those of `generate`, and probabilities of
`direct` those of whole sequences read one by one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from transformers import GenerationConfig

from synthpert import bases
from synthpert.answering import answer
from synthpert.encoding import Encoder
from synthpert.generation import Decoding, HFEngine, Mode
from synthpert.layouts import choose
from synthpert.prompts import load_prompts
from synthpert.questions import LABELS, find_data, read_questions, split_questions, to_questions
from synthpert.scratch import Scratch, make_base, split_words

BARE = "<answer>downregulated</answer>"
SHARES = ["p_not_de", "p_up", "p_down"]


def main() -> None:
    """Measure the ways in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--thought", type=int, default=150)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--direct-batch", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "base", options)
    bench.check()
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in bench.ways}
    for number in range(options.rounds):
        start = number % len(bench.ways)
        for name in [*bench.ways][start:] + [*bench.ways][:start]:
            count, way = bench.ways[name]
            wall, cpu = time.perf_counter(), time.process_time()
            way(count)
            took[name].append(
                ((time.perf_counter() - wall) / count, (time.process_time() - cpu) / count)
            )
            print(f"round {number + 1}, {name}: {took[name][-1][0]:.3f} s", file=sys.stderr)
    print(f"{bench.size}; threads: {options.threads}, rounds: {options.rounds}\n")
    print("| way | questions/s | CPU ms a question | CPU, ratio to thought | to bare |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, rounds in took.items():
        ratios = [
            statistics.median(a[1] / b[1] for a, b in zip(took[plain], rounds, strict=True))
            for plain in ("generate, thought", "generate, bare")
        ]
        wall, cpu = (statistics.median(each) for each in zip(*rounds, strict=True))
        print(f"| {name} | {1 / wall:.2f} | {1e3 * cpu:,.0f} | {ratios[0]:.1f} | {ratios[1]:.1f} |")


class Bench:
    """The model, the questions and the ways of answering them.

    Args:
        base: Folder to make the model in.
        options: Of the command line.
    """

    def __init__(self, base: Path, options: argparse.Namespace) -> None:
        self.options = options
        prompts = load_prompts("paper")
        self.questions = to_questions(split_questions(read_questions(find_data()))[1])[:512]
        words = [f" w{number}" for number in range(options.thought)]
        texts = [each["content"] for one in self.questions for each in prompts.messages(one)]
        labels = [prompts.answer_text(label) for label in LABELS]
        size = Scratch(320, 8, 5, 864, max_positions=2048)
        make_base(base, size, split_words([*texts, *labels, *words, "<think></think>"]))
        self.encoder = Encoder(bases.load_tokenizer(str(base)), prompts)
        cpu = torch.device("cpu")
        self.model: Any = bases.load_network(str(base), "float32", None, None, cpu)
        choose(self.model, "auto")
        tokenizer = self.encoder.tokenizer
        self.eos: Any = tokenizer.eos_token_id
        self.engine = HFEngine(self.model, self.encoder.pad_id, self.eos, self.encoder.raw_text)
        self.prompts = self.encoder.prompt_ids(self.questions)
        begin = self.prompts[0][-1]
        bare = [*self.encoder.text_ids([BARE])[0], self.eos]
        thought = self.encoder.text_ids(["<think>" + "".join(words) + "</think>"])[0]
        self.chains = {"bare": [begin, *bare], "thought": [begin, *thought, *bare]}
        self.next: torch.Tensor | None = None
        self.model.register_forward_hook(self._steer, with_kwargs=True)
        weights = sum(weight.numel() for weight in self.model.parameters())
        lengths = statistics.mean(map(len, self.prompts))
        self.size = f"{weights / 1e6:.1f} M parameters, prompts of {lengths:.0f} tokens"
        self.ways: dict[str, tuple[int, Callable[[int], object]]] = {
            "generate, thought": (4, lambda count: self.generate("thought", count)),
            "generate, bare": (24, lambda count: self.generate("bare", count)),
            "reason": (options.batch, lambda count: self.ask("reason", count)),
            "vote": (options.batch, lambda count: self.ask("vote", count)),
            "direct": (len(self.questions), lambda count: self.ask("direct", count)),
        }

    def _steer(
        self,
        module: object,
        args: object,
        named: dict[str, Any],
        out: Any,  # noqa: ANN401 - the hook's own type
    ) -> None:
        """Let the newest id decide the next one."""
        if self.next is None:
            return
        following = self.next[named["input_ids"][:, -1]]
        out.logits[torch.arange(len(following)), -1, following] += 1e4

    def _follow(self, name: str) -> None:
        chain = self.chains[name]
        self.next = torch.zeros(self.model.config.vocab_size, dtype=torch.long)
        self.next[chain[:-1]] = torch.tensor(chain[1:])

    @torch.no_grad()
    def generate(self, chain: str, count: int) -> list[str]:
        """Plain `generate`, a question at a time; what each writes."""
        self._follow(chain)
        pad = self.encoder.pad_id
        config = GenerationConfig(
            max_new_tokens=1024, do_sample=False, pad_token_id=pad, eos_token_id=self.eos
        )
        texts = []
        for prompt in self.prompts[:count]:
            ids = torch.tensor([prompt])
            mask = torch.ones_like(ids)
            out = self.model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
            texts.append(self.encoder.decode(out[0, len(prompt) :].tolist()))
        return texts

    def ask(self, mode: Mode, count: int) -> pl.DataFrame:
        """The predictions of a mode of the student."""
        batch = self.options.direct_batch if mode == "direct" else self.options.batch
        decoding = Decoding(1024, batch_size=batch, mode=mode)
        self._follow("thought")
        if mode == "direct":
            self.next = None
        questions = self.questions[:count]
        parts = (self.engine, self.encoder, questions, [None] * count, decoding)
        return answer(*parts, probabilities=True, model="made on the spot")

    def check(self) -> None:
        """Hold the ways to one another: the same texts, the probabilities of whole sequences."""
        # First of all, since the engine now tries what the model can, which steering would spoil.
        assert self.ask("direct", 2)["mode"].to_list() == ["direct", "direct"]
        assert self.engine._reads_trees
        assert self.ask("reason", 2)["response"].to_list() == self.generate("thought", 2)
        assert self.ask("vote", 2)["n_samples"].to_list() == [5, 5]
        assert self.generate("bare", 1) == [BARE]
        found = torch.tensor(self.ask("direct", 24).select(SHARES).to_numpy())
        endings = [self.encoder.completion_text(label) for label in LABELS]
        slow = [self._whole(prompt, self.encoder.text_ids(endings)) for prompt in self.prompts[:24]]
        worst = float((found - torch.stack(slow)).abs().max())
        print(f"probabilities of `direct` beside whole sequences: at most {worst:.0e} apart")
        assert worst < 1e-5

    @torch.no_grad()
    def _whole(self, prompt: Sequence[int], choices: Sequence[Sequence[int]]) -> torch.Tensor:
        logs = []
        for choice in choices:
            ids = torch.tensor([[*prompt, *choice]])
            log = self.model(input_ids=ids).logits[0].double().log_softmax(-1)
            places = torch.arange(len(prompt) - 1, ids.shape[1] - 1)
            logs.append(log[places, ids[0, places + 1]].sum())
        return torch.stack(logs).softmax(0)


if __name__ == "__main__":
    main()
