"""What the runners of this folder share: running programs, progress, statistics, tables, plots."""

import argparse
import csv
import dataclasses
import difflib
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time

SYSTEM = "sys"  # the C library's malloc, among allocators

# Colours that colour-blind people can tell apart (Okabe and Ito).
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999"]


class Problem(Exception):
    """A run that gave no figures: its text is shown in their place."""


# ---- running ------------------------------------------------------------------------------------

def output_of(command, timeout_s, environment=None):
    """Standard output and error of a command; ends its whole process group when it is late."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace",
                               env=environment, start_new_session=True)
    try:
        return process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise Problem(f"timeout after {timeout_s:g} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def records_of(output, word):
    """The key=value pairs of each line that begins with `word`."""
    return [dict(pair.split("=", 1) for pair in line.split()[1:])
            for line in output.splitlines() if line.startswith(word + " ")]


def fields_of(output, word):
    """The key=value pairs of the first line that begins with `word`, or None."""
    return next(iter(records_of(output, word)), None)


def last_line(text):
    return (text.strip().splitlines() or [""])[-1]


class Measure:
    """Runs programs through `measure`, which knows the cost of its child alone."""

    def __init__(self, programs, timeout_s):
        self.programs = programs
        self.timeout_s = timeout_s

    def program(self, name):
        return os.path.join(self.programs, name)

    def measured(self, library, command, warm_mb=0, environment=None):
        """The costs and the output of a command under a preloaded library, if there is one.

        Raises Problem if it did not end well.
        """
        switches = ["-l", library] if library else []
        if warm_mb:
            switches += ["-w", str(warm_mb)]
        output, errors = output_of([self.program("measure"), *switches, *command], self.timeout_s,
                                   environment)
        cost = fields_of(output, "measured")
        if cost is None:
            raise Problem("not run: " + last_line(errors))
        if cost["signal"] != "0":
            raise Problem(f"crash: {signal.Signals(int(cost['signal'])).name} {last_line(errors)}")
        if cost["exit"] != "0":
            raise Problem(f"exit status {cost['exit']}: {last_line(errors)}")
        if "ld.so" in errors:
            raise Problem("not preloaded: " + last_line(errors))
        return cost, output


class Progress:
    """One line on stderr: overwritten on a terminal, else a line for each new stage."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.stage = None
        self.start_s = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def show(self, stage, detail=""):
        elapsed_s = time.monotonic() - self.start_s
        left_s = elapsed_s / self.done * (self.total - self.done) if self.done else 0
        text = f"[{self.done + 1}/{self.total}] {stage}"
        if self.terminal:
            left = f", {left_s:.0f} s left" if self.done else ""
            print(f"\r\033[K{text} {detail}{left}", end="", file=sys.stderr, flush=True)
        elif stage != self.stage:
            print(text, file=sys.stderr, flush=True)
        self.stage = stage
        self.done += 1

    def end(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def run_rounds(rounds, progress, run_round):
    """The records of all rounds in one list, and how many rounds these are.

    Interrupted, those of the rounds that are complete.
    """
    records = []
    for number in range(1, rounds + 1):
        try:
            records += run_round(number)
        except KeyboardInterrupt:
            progress.end()
            if number == 1:
                raise
            print(f"interrupted: here are {number - 1} rounds", file=sys.stderr)
            return records, number - 1
    progress.end()
    return records, rounds


# ---- transparent huge pages ---------------------------------------------------------------------

class HugePageMode:
    """The system's mode of transparent huge pages: as it was again when this is left."""

    PATH = "/sys/kernel/mm/transparent_hugepage/enabled"

    def __init__(self):
        self.found = self.now = first_match(self.PATH, r"\[(\w+)\]")

    def __enter__(self):
        # What would end us at once must pass by __exit__, too.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        return self

    def __exit__(self, *_):
        if self.now != self.found:
            self.set(self.found)

    def set(self, mode):
        """Whether that is the mode now."""
        if mode == self.now:
            return True
        try:
            with open(self.PATH, "w") as file:
                file.write(mode)
        except OSError:
            return False
        self.now = mode
        return True

    def usable(self, modes):
        """Those that can be set; if none but the mode in force can, that one, with a word."""
        if all(self.set(mode) for mode in [*modes, self.found]):
            return modes
        print(f"{self.PATH} cannot be written: measured with THP={self.found} only",
              file=sys.stderr)
        return [self.found]


def vmstat(name):
    """A counter of the whole system, or None."""
    value = first_match("/proc/vmstat", rf"^{name} (\d+)$", "")
    return int(value) if value else None


# ---- statistics ---------------------------------------------------------------------------------

@dataclasses.dataclass
class Spread:
    """Median and quartiles."""
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


# ---- tables -------------------------------------------------------------------------------------

def print_table(title, heads, rows):
    """Left-aligned first column, the others to the right."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    print(f"\n{title}")
    for row in [heads, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def figure(value):
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


# ---- plots --------------------------------------------------------------------------------------

def load_pyplot():
    """matplotlib.pyplot, or None with a word on how to get it."""
    try:
        import matplotlib
    except ImportError:
        print(f"no plots: {sys.executable} has no matplotlib (Debian: python3-matplotlib, "
              "for /usr/bin/python3)", file=sys.stderr)
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot
    return pyplot


def ratio_ticks(low, high):
    """1, 1.5, 2, 3, 4, 6, 8 … and the same below 1, over the range and one beyond."""
    steps = sorted(base * 2.0 ** power for power in range(-8, 12) for base in (1, 1.5))
    below = [step for step in steps if step <= low][-1:]
    above = [step for step in steps if step >= high][:1]
    return below + [step for step in steps if low < step < high] + above


# ---- files --------------------------------------------------------------------------------------

def write_csv(path, records):
    """Dataclass records of one kind, one a line."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(records[0])])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(record) for record in records)


def write_json(path, report):
    with open(path, "w") as file:
        json.dump(report, file, indent=1)
        file.write("\n")


def first_match(path, pattern, default="unknown"):
    try:
        with open(path) as file:
            found = re.search(pattern, file.read(), re.M)
    except OSError:
        return default
    return found.group(1).strip() if found else default


def machine():
    return {
        "cpu": first_match("/proc/cpuinfo", r"^model name\s*:\s*(.*)$", platform.machine()),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "thp": first_match("/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]"),
        "memory_kb": int(first_match("/proc/meminfo", r"^MemTotal:\s*(\d+)", "0")),
    }


def machine_line(facts):
    return (f"{facts['cpu']}, {facts['cpus']} CPUs, {facts['memory_kb'] / 2**20:.0f} GB, "
            f"Linux {facts['kernel']}, {facts['libc']}, THP={facts['thp']}")


# ---- command line -------------------------------------------------------------------------------

def chosen(parser, text, names, what):
    """Those of a comma-separated list, without doubles; all if there is no list."""
    if not text:
        return list(names)
    wanted = list(dict.fromkeys(text.split(",")))
    for name in wanted:
        if name not in names:
            nearest = difflib.get_close_matches(name, names, 1)
            parser.error(f"no {what} '{name}'" + (f"; is it {nearest[0]}?" if nearest else ""))
    return wanted


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def find_programs(parser, given):
    here = os.path.dirname(os.path.realpath(__file__))
    places = [given] if given else [os.path.abspath("bench"), here]
    for place in places:
        if os.access(os.path.join(place, "measure"), os.X_OK):
            return os.path.abspath(place)
    parser.error(f"the programs are not built in {' or '.join(places)}: build them, or give "
                 "--programs")


def built_library(programs):
    """valloc's library in the build tree that the programs are in, or None."""
    library = os.path.join(os.path.dirname(programs), ".libs", "libvalloc.so")
    return library if os.path.isfile(library) else None


@dataclasses.dataclass(frozen=True)
class Allocator:
    name: str
    library: str  # empty: the system's own


def find_allocators(parser, libraries, programs):
    """The system's, valloc if it is built or named, and those of NAME=lib.so, in their order."""
    named = {}
    for text in libraries:
        name, separator, library = text.partition("=")
        if not separator or not name or name in named or name == SYSTEM:
            parser.error(f"'{text}' is not NAME=lib.so with a new name")
        if not os.path.isfile(library):
            parser.error(f"there is no {library}")
        named[name] = os.path.abspath(library)
    built = built_library(programs)
    if "valloc" not in named and built:
        named = {"valloc": built, **named}
    return [Allocator(SYSTEM, "")] + [Allocator(*item) for item in named.items()]
