"""What the peers have in common: requests and replies, one JSON object a line.

A peer imports its packages, says that it is ready or what is missing, and then answers
requests until its input ends:

    {"op": "load", "file": F, "solver": S, "rtol": r, "window": m, "max_evals": n, "lr": a, "gradients": G}
        makes the training step of the tensors in F (safetensors), runs it once, saves its
        gradients to G and replies with its evaluations and loss
    {"op": "run", "times": n}
        replies with the microseconds of one of n steps
    {"op": "gemm", "m": m, "n": n, "k": k, "times": t}
        replies with the microseconds of one of t products [m,k] by [k,n]

Times come with "cores", the share of the time that processors spent on it: more than 1
tells of a second thread.
"""

import json
import os
import sys
import time

# Replies go to the original standard output; what packages print goes to standard error.
_out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def reply(**fields):
    _out.write(json.dumps(fields) + "\n")


# Libraries that take as many threads as there are cores see one until free_cores is called.
_cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
if _cores:
    os.sched_setaffinity(0, {min(_cores)})


def free_cores():
    """Lets the threads that there are by now run on any core again."""
    if _cores:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), _cores)


def packages(*names):
    """Imports packages, or says which are missing and ends the process."""
    import importlib

    modules, missing = [], []
    for name in names:
        try:
            modules.append(importlib.import_module(name))
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        reply(missing=missing)
        sys.exit(0)
    return modules


def versions(*names):
    from importlib.metadata import version

    return {name: version(name) for name in names}


def timed(run, times):
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        run()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"us": wall / times * 1e6, "cores": cpu / wall}


def serve(**handlers):
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply(**handlers[request.pop("op")](**request))
        except Exception as error:  # told to the other side, which decides
            reply(error=f"{type(error).__name__}: {error}")
