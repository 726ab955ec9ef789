"""Trials of neurogym, to compare the semantics of our tasks with.

Requests, besides those of protocol.py:

    {"op": "trials", "task": T, "timing": {PERIOD: ms}, "dt": ms}
        replies with all trials that there are without noise, one for each choice of the
        parameters: "trials": [{"ob": [[input of each channel] of each step], "gt": [label of each step]}]
    {"op": "noise", "task": T, "timing": …, "dt": ms, "times": n}
        replies with the standard deviation "sd": [[of each channel] of each step] over n trials
        with the same parameters
    {"op": "durations", "task": T, "period": P, "times": n}
        replies with n "durations" of a period, in steps

No timing and no dt mean those of neurogym. Tasks have our names.
"""

import importlib
import itertools
import sys
from unittest import mock

import protocol

# Today's neurogym imports torch for wrappers that no trial needs.
try:
    import torch  # noqa: F401
except ImportError:
    for name in ("torch", "torch.nn"):
        sys.modules[name] = mock.MagicMock()

neurogym, numpy = protocol.packages("neurogym", "numpy")

CLASSES = {
    "2af": "PerceptualDecisionMaking",
    "dms": "DelayMatchSample",
    "cxt": "ContextDecisionMaking",
    "gonogo": "GoNogo",
    "delay-comparison": "DelayComparison",
    "ready-set-go": "ReadySetGo",
}
version = protocol.versions("neurogym")["neurogym"]
first = version.startswith("0.0.")


def environment(task, timing=None, dt=None, silent=False):
    name = CLASSES[task]
    module = importlib.import_module("neurogym.envs." + ("" if first else "native.") + name.lower())
    options = {"timing": timing} if timing else {}
    if dt:
        options["dt"] = dt
    if silent and task not in ("gonogo", "ready-set-go"):
        options["sigma"] = 0.0
    if task == "cxt" and not first:
        options["use_expl_context"] = True
    env = getattr(module, name)(**options)
    env.seed(0)
    return env


def choices(task, env):
    """The parameters that a trial draws, with what they are drawn from."""
    if task == "2af":
        return {"ground_truth": [0, 1], "coh": list(env.cohs)}
    if task == "dms":
        return {"ground_truth": [1, 2], "sample_theta": list(env.theta)}
    if task == "cxt":
        coherences = ("coh_0", "coh_1") if first else ("coh_1", "coh_2")
        return {"ground_truth": [1, 2], "other_choice": [1, 2], "context": [0, 1], **{name: env.cohs for name in coherences}}
    if task == "gonogo":
        return {"ground_truth": [0, 1]}
    if task == "delay-comparison":
        return {"ground_truth": [1, 2], "vpair": env.vpairs}
    return {}


def trials(task, timing=None, dt=None):
    env = environment(task, timing, dt, silent=True)
    drawn = choices(task, env)
    out = []
    for values in itertools.product(*drawn.values()):
        env.new_trial(**dict(zip(drawn, values)))
        out.append({"ob": numpy.round(env.ob.astype(float), 6).tolist(), "gt": env.gt.astype(int).tolist()})
    return {"trials": out}


def noise(task, times, timing=None, dt=None):
    env = environment(task, timing, dt)
    same = {name: values[0] for name, values in choices(task, env).items()}
    all_trials = []
    for _ in range(times):
        env.new_trial(**same)
        all_trials.append(env.ob.astype(float))
    return {"sd": numpy.std(all_trials, axis=0).tolist()}


def durations(task, period, times):
    env = environment(task)
    return {"durations": [int(env.sample_time(period) / env.dt) for _ in range(times)]}


protocol.free_cores()
protocol.reply(ready=True, threads=1, versions={"neurogym": version}, note="")
protocol.serve(trials=trials, noise=noise, durations=durations)
