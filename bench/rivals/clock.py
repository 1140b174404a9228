"""What both rivals share: options, timing and the one JSON document."""

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import time

BLOCK = 8


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workload", choices=("mlp", "resnet20", "gpt"), required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", default="", help="modes whose name contains this")
    parser.add_argument("--limit", type=int, default=240, help="seconds a mode may take, its compilation included")
    chosen = parser.parse_args()
    # Before any library is loaded: neither library may use more cores than threads.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.threads])
    os.environ["OMP_NUM_THREADS"] = str(chosen.threads)
    return chosen


class OutOfTime(Exception):
    pass


@contextlib.contextmanager
def limited(seconds):
    def stop(*_):
        raise OutOfTime(f"over {seconds} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


class Table:
    """Rows of the report; a mode that fails or runs out of time becomes a line on stderr and an entry of `failures`."""

    def __init__(self, chosen):
        self.chosen, self.rows, self.failures, self.results = chosen, [], [], {}

    def row(self, mode, what, prepare, block=1, retained=False):
        """`prepare()` does what is paid once and returns the function to time; that returns its product(s)."""
        if self.chosen.only not in mode:
            return
        try:
            with limited(self.chosen.limit):
                run = prepare()
                self.results[mode] = (what, block, run())
                samples = []
                for _ in range(self.chosen.repeats):
                    start = time.perf_counter()
                    run()
                    samples.append((time.perf_counter() - start) / block)
        except Exception as error:  # a rival's mode may be unsupported; the others still count
            reason = (str(error).strip().splitlines() or [""])[0][:200]
            self.failures.append({"mode": mode, "what": what, "error": f"{type(error).__name__}: {reason}"})
            print(f"{mode}: {type(error).__name__}: {reason}", file=sys.stderr, flush=True)
            return
        median = statistics.median(samples)
        self.rows.append({"mode": mode, "what": what, "block": block, "retained": retained,
                          "secondsPerProduct": median, "samples": samples})
        print(f"{mode}: {median * 1e3:.2f} ms", file=sys.stderr, flush=True)

    def check(self, distance, tolerance):
        """Every mode of one operator must give the same product for the first vector."""
        first = {}
        for mode, (what, block, result) in self.results.items():
            reference_mode, reference = first.setdefault(what, (mode, result))
            difference = distance(result, reference)
            if not difference < tolerance:
                self.failures.append({"mode": mode, "what": what, "error": f"differs from {reference_mode} by {difference:.1e}"})
                print(f"{mode}: differs from {reference_mode} by {difference:.1e}", file=sys.stderr)

    def report(self, library, version, parameters):
        json.dump({"workload": self.chosen.workload, "library": library, "version": version, "threads": self.chosen.threads,
                   "parameters": parameters, "repeats": self.chosen.repeats, "rows": self.rows, "failures": self.failures},
                  sys.stdout, indent=1)
        print()
