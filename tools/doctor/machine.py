"""The machine: Python, torch and its devices, memory, disk, threads, clock."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from tools.doctor.finding import Finding, size

OLDEST: Final = (3, 11)
NEWEST: Final = (3, 12)
# An 8B base in bfloat16 and its checkpoints; below, the demonstration still runs.
_DISK: Final = 25e9
_RAM: Final = 8e9
# A rank of an 80 GB card, LoRA on an 8B base: README, "What a run costs".
_CARD: Final = 40e9


def python() -> Finding:
    """The interpreter's version, against what the project is tested with."""
    found = f"{platform.python_version()} ({sys.executable})"
    version = sys.version_info[:2]
    if version < OLDEST:
        return Finding("Python", "fail", found, "install Python 3.11 or 3.12")
    if version > NEWEST:
        return Finding("Python", "warn", found, "tested with 3.11 and 3.12 only")
    return Finding("Python", "ok", found)


def system() -> Finding:
    """The operating system; what is written atomically is so on POSIX."""
    found = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if platform.system() == "Windows":
        return Finding("platform", "fail", found, "use Linux, macOS or WSL")
    return Finding("platform", "ok", found)


def torch_build() -> list[Finding]:
    """Torch's version and build, and the devices and threads it finds."""
    if importlib.util.find_spec("torch") is None:
        return [Finding("torch", "fail", "not installed", "pip install -c constraints.txt torch")]
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    return [Finding("torch", "ok", f"{torch.__version__} ({build})"), *gpus(), threads()]


def gpus() -> list[Finding]:
    """The CUDA devices: memory, bfloat16, attention kernels."""
    import torch

    if not torch.cuda.is_available():
        remedy = "none needed for configs/tiny.yaml; an 8B student needs one of 80 GB"
        if torch.version.cuda is None and shutil.which("nvidia-smi"):
            remedy = "there is a GPU, but torch is a CPU build: install torch's CUDA build"
        return [Finding("GPU", "warn", "no CUDA device", remedy), _attention_on_cpu()]
    found = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        text = f"{facts.name}, {size(free)} of {size(total)} free"
        small = free < _CARD
        remedy = "--model.quantize 4bit, or a GPU of 80 GB, for an 8B student" if small else ""
        found.append(Finding(f"GPU {index}", "warn" if small else "ok", text, remedy))
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    found.append(
        Finding(
            "bfloat16",
            "ok" if bf16 else "warn",
            "supported" if bf16 else "not in hardware",
            "" if bf16 else "an Ampere GPU or newer; older ones emulate it slowly",
        )
    )
    flash = torch.backends.cuda.flash_sdp_enabled() and bf16
    found.append(
        Finding(
            "attention",
            "ok" if flash else "warn",
            "SDPA with flash kernels" if flash else "SDPA without flash kernels",
            "" if flash else "an Ampere GPU or newer, for speed",
        )
    )
    return found


def _attention_on_cpu() -> Finding:
    return Finding("attention", "ok", "SDPA on the CPU")


def memory() -> Finding:
    """Main memory, as the system or the container grants it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
        total = min(total, int(text))
    if total < _RAM:
        return Finding("memory", "warn", size(total), "8 GB for tests, 32 GB for an 8B base")
    return Finding("memory", "ok", size(total))


def disk() -> list[Finding]:
    """Free disk here and where Hugging Face keeps bases."""
    from huggingface_hub import constants

    return [
        _disk("disk here", Path.cwd(), "another folder, or --run on another disk"),
        _disk("disk of bases", Path(constants.HF_HUB_CACHE), "HF_HOME on another disk"),
    ]


def _disk(what: str, place: Path, remedy: str) -> Finding:
    there = next(each for each in (place, *place.parents) if each.exists())
    free = shutil.disk_usage(there).free
    found = f"{size(free)} free ({place})"
    if free < _DISK:
        return Finding(what, "warn", found, f"an 8B base and its run take 25 GB: {remedy}")
    return Finding(what, "ok", found)


def runs_folder() -> Finding:
    """Whether runs can be written here."""
    place = Path("runs") if Path("runs").exists() else Path()
    shown = str(place.absolute())
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding("runs folder", "ok", f"{shown} can be written to")
    return Finding("runs folder", "fail", f"{shown} cannot be written to", "start elsewhere")


def threads() -> Finding:
    """Threads of one process, against the cores that it may use."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    used = torch.get_num_threads()
    said = os.environ.get("OMP_NUM_THREADS", "not set")
    found = f"{used} of {cores} cores (OMP_NUM_THREADS {said})"
    if used > (cores or 1):
        return Finding("threads", "warn", found, f"export OMP_NUM_THREADS={cores}")
    return Finding("threads", "ok", found)


def clock(ahead: float | None = None) -> Finding:
    """The clock, against the newest file of the project, and a server's where one answered.

    Args:
        ahead: Seconds by which this clock is ahead of a server's; None if unknown.
    """
    found = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    newest = max(file.stat().st_mtime for file in Path(__file__).parent.glob("*.py"))
    remedy = "set the clock: keys and W&B are refused by a wrong one, files look stale"
    if time.time() < newest - 3600:
        return Finding("clock", "warn", f"{found}, before this file was written", remedy)
    if ahead is not None and abs(ahead) > 300:
        return Finding("clock", "warn", f"{found}, {ahead:+.0f} s off", remedy)
    return Finding("clock", "ok", found)
