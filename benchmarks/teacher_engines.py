"""What asking costs: both engines, journal included, beside the libraries they are built on.

    python benchmarks/teacher_engines.py cpu [--requests 2000]
    python benchmarks/teacher_engines.py memory [--questions 50000]
    python benchmarks/teacher_engines.py overlap

A server in a process of its own answers each chat on loopback, after 100 ms, with 2.8 kB. `cpu`
asks it with 64 requests in flight, the variants in turn in each of eight rounds of one run, and
prints CPU ms a request of this process and requests a second. `memory` takes questions with the
offline teacher and critic through the run that `traces make` does, and prints the resident memory.
`overlap` shows where in the order of requests the critic's first one comes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from synthpert.prompts import Message
from synthpert.questions import Label, Question
from tools.traces.asking import Asker, open_lanes
from tools.traces.asking.money import Budget
from tools.traces.asking.running import run
from tools.traces.engines import open_engine
from tools.traces.journal import Journal
from tools.traces.journal.records import Call
from tools.traces.offline import template
from tools.traces.recipe import Recipe
from tools.traces.settings import Model, Settings
from tools.traces.walk import Walk, read_reply, walk

IN_FLIGHT = 64
ROUNDS = 8
LATENCY = 0.1
PROMPT = "The regulatory effect of knocking down one gene on another gene is asked. " * 24
THOUGHT = "Knocking down the first gene lowers the second one, which needs its product. " * 35
FREE: dict[str, Any] = {"input_price": 0.0, "output_price": 0.0}

One = Callable[[int], Awaitable[object]]


# --- the server ------------------------------------------------------------------------------


def serve(latency: float, sensible: bool) -> None:
    """Answer chats until killed; says its port first, and on GET the order of the roles asked."""
    from aiohttp import web

    fixed = body_of(f"<think>{THOUGHT}</think><answer>upregulated</answer>")
    roles: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(roles)
        body = await request.read()
        told = fixed
        if sensible:
            messages = json.loads(body)["messages"]
            roles.append("critic" if "Critique Task" in messages[-1]["content"] else "teacher")
            told = body_of(template.reply(messages))
        await asyncio.sleep(latency)
        return web.Response(body=told, content_type="application/json")

    async def forever() -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(forever())


def body_of(text: str) -> bytes:
    """A chat completion of this text."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 400, "completion_tokens": 600, "total_tokens": 1000}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    told = {"id": "x", "object": "chat.completion", "created": 1, "model": "served"}
    return json.dumps(told | {"choices": choices, "usage": usage}).encode()


@contextlib.contextmanager
def server(latency: float, *, sensible: bool = False) -> Iterator[str]:
    """The server in a child process; gives its address."""
    command = [sys.executable, __file__, "serve", str(latency), *["sensible"] * sensible]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
        finally:
            child.kill()


# --- CPU a request ---------------------------------------------------------------------------


def messages_of(number: int) -> list[Message]:
    """A chat of teacher's length; no two are the same call."""
    asked = f"Question {number}: up, down or neither?"
    return [{"role": "system", "content": PROMPT}, {"role": "user", "content": asked}]


def through_asker(model: Model, journal: Journal) -> tuple[One, Callable[[], Awaitable[None]]]:
    """One call as a run makes it: limits, budget, retries, two commits to the journal."""
    lanes = open_lanes([model], open_engine)
    asker = Asker(lanes, journal, Budget(None), read_reply, attempts=6, backoff=1.0)
    question = Question("k562", "AAA", "BBB")

    async def one(number: int) -> object:
        messages = messages_of(number)
        call = Call("teacher", question, Label.UP, 0, model, messages, "benchmark")
        reply = journal.answer(call.key) or await asker.ask(call)
        assert reply is not None, asker.stopped
        return reply

    return one, lanes[model.identity].engine.close


def bare_litellm(base: str) -> One:
    """`litellm.acompletion` alone, one request a call."""
    from tools.traces.engines.providers import load

    litellm = load()
    how = {"api_base": base, "api_key": "none", "num_retries": 0, "max_retries": 0}

    async def one(number: int) -> object:
        messages = messages_of(number)
        return await litellm.acompletion(
            model="openai/served", messages=messages, timeout=600, **how
        )

    return one


def bare_openai(base: str) -> tuple[One, Callable[[], Awaitable[None]]]:
    """The openai client with its aiohttp transport alone."""
    import httpx
    import openai

    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=None)
    http = openai.DefaultAioHttpClient(limits=limits)
    client = openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0, http_client=http)

    async def one(number: int) -> object:
        messages: Any = messages_of(number)
        return await client.chat.completions.create(model="served", messages=messages)

    return one, client.close


async def measure(one: One, numbers: range) -> tuple[float, float]:
    """CPU ms a request, requests a second."""
    rest = iter(numbers)

    async def work() -> None:
        for number in rest:
            await one(number)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return 1000 * cpu / len(numbers), len(numbers) / wall


async def cpu(requests: int, base: str, folder: Path) -> None:
    """Measure the four variants in turn, and print the table."""
    with contextlib.ExitStack() as stack:
        told = {"api_base": base}
        made: dict[str, tuple[One, Callable[[], Awaitable[None]] | None]] = {
            "litellm.acompletion alone": (bare_litellm(base), None),
            "openai + aiohttp alone": bare_openai(base),
        }
        for name in ("litellm", "openai"):
            model = Model("openai/served", told, name, in_flight=IN_FLIGHT, **FREE)
            journal = stack.enter_context(Journal(folder / f"{name}.sqlite", write=True))
            made[f"engine {name}, asker, journal"] = through_asker(model, journal)
        a_round = requests // ROUNDS
        took: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for number in range(-1, ROUNDS):  # the first round warms up
            for name, (one, _) in made.items():
                numbers = range(number * a_round, (number + 1) * a_round)
                took[name].append(await measure(one, numbers))
        for _, close in made.values():
            if close:
                await close()
    print_table({name: each[1:] for name, each in took.items()}, a_round * ROUNDS)


def print_table(took: dict[str, list[tuple[float, float]]], requests: int) -> None:
    """A Markdown table; a ratio is the median over the rounds of one run."""
    bare = {"litellm": "litellm.acompletion alone", "openai": "openai + aiohttp alone"}
    print(f"{requests:,} requests a variant, {IN_FLIGHT} in flight, {LATENCY * 1000:.0f} ms\n")
    print("| variant | CPU ms a request | requests/s | CPU, ratio to bare |\n|---|---|---|---|")
    for name, rounds in took.items():
        beside = next((bare[key] for key in bare if f"engine {key}" in name), name)
        pairs = zip(rounds, took[beside], strict=True)
        ratio = median([ours[0] / theirs[0] for ours, theirs in pairs])
        ms, rate = median([each[0] for each in rounds]), median([each[1] for each in rounds])
        print(f"| {name} | {ms:.2f} | {rate:.0f} | {ratio:.2f} |")


def median(values: list[float]) -> float:
    """The middle one; of two, their mean."""
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


# --- memory and overlap ----------------------------------------------------------------------


def walks(recipe: Recipe, questions: int) -> Iterator[Walk]:
    """Questions on genes that do not exist, made one at a time as `traces make` draws them."""
    for number in range(questions):
        question = Question("k562", f"PERT{number}", f"GENE{number % 977}")
        yield walk(recipe, question, list(Label)[number % 3], 0)


def memory(questions: int, folder: Path) -> None:
    """Resident memory while so many questions are queued and answered, journal included."""
    process = psutil.Process()
    recipe = Recipe.of(Settings())
    seen: list[float] = []
    begun = time.perf_counter()

    def done(_: object) -> bool:
        seen.append(process.memory_info().rss / 2**20 if len(seen) % 100 == 0 else seen[-1])
        return True

    with Journal(folder / "memory.sqlite", write=True) as journal:
        todo = walks(recipe, questions)
        run(journal, recipe.models, todo, done, read_reply, total=questions)
    a_minute = 60 * questions / (time.perf_counter() - begun)
    tenth = questions // 10
    print(f"{questions:,} questions, two calls each: {a_minute:,.0f} questions a minute\n")
    print("| after | MiB resident |\n|---|---|")
    for part in range(1, 11):
        print(f"| {part * tenth:,} | {seen[part * tenth - 1]:.1f} |")
    later = seen[tenth:]
    print(f"\nfrom {tenth:,} on: {min(later):.1f} to {max(later):.1f} MiB")


def overlap(questions: int, folder: Path) -> None:
    """Where the critic's first request comes among those of the teacher."""
    with server(0.02, sensible=True) as base:
        model = Model("openai/served", {"api_base": base}, "openai", in_flight=IN_FLIGHT, **FREE)
        recipe = Recipe.of(Settings(teacher=model, critics=[model]))
        with Journal(folder / "overlap.sqlite", write=True) as journal:
            todo = walks(recipe, questions)
            run(journal, recipe.models, todo, lambda _: True, read_reply, total=questions)
        with urllib.request.urlopen(base) as told:
            roles = json.load(told)
    last = len(roles) - roles[::-1].index("teacher")
    print(
        f"{len(roles):,} requests: critic first as number {roles.index('critic') + 1:,}, ", end=""
    )
    print(f"teacher last as number {last:,}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["cpu", "memory", "overlap", "serve"])
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=50_000)
    given = parser.parse_args()
    if given.part == "serve":
        serve(float(given.rest[0]), sensible="sensible" in given.rest)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.part == "memory":
            memory(given.questions, folder)
        elif given.part == "overlap":
            overlap(min(given.questions, 1000), folder)
        else:
            with server(LATENCY) as base:
                asyncio.run(cpu(min(given.requests, 5000), base, folder))


if __name__ == "__main__":
    main()
