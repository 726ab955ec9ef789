"""A training step of the rate network by torchdeq on PyTorch."""

import re

import protocol

torch, torchdeq, safetensors = protocol.packages("torch", "torchdeq", "safetensors.torch")
linear = torch.nn.functional.linear

torch.set_num_threads(1)

SOLVERS = {"picard": "fixed_point_iter", "anderson": "anderson", "broyden": "broyden"}

# Torchdeq regularises the least squares of Anderson acceleration by an absolute number. At its
# default of 1e-4 small residuals are not accelerated at all, and those of the adjoint
# problem are small. With this one it needs the fewest evaluations.
LAMBDA = 1e-12


class Step:
    """Tensors are those of the request; see protocol."""

    def __init__(self, file, solver, rtol, window, max_evals, lr):
        given = safetensors.load_file(file)
        self.x, self.target = given.pop("x"), given.pop("target")
        self.theta = {name: torch.nn.Parameter(v) for name, v in given.items()}
        self.adam = torch.optim.Adam(self.theta.values(), lr=lr, fused=True)
        self.calls = {}
        for direction in ("f", "b"):
            torchdeq.solver.register_solver(direction, self.counted(direction, SOLVERS[solver], window))
        self.deq = torchdeq.get_deq(
            f_solver="f", b_solver="b", f_max_iter=max_evals, b_max_iter=max_evals,
            f_tol=rtol, b_tol=rtol, f_stop_mode="rel", b_stop_mode="rel", ift=True)

    def counted(self, direction, name, window):
        solver = torchdeq.solver.get_solver(name)
        more = {"m": window, "lam": LAMBDA} if name == "anderson" else {}

        def solve(func, x0, **options):
            self.calls[direction] = 0

            def f(z):
                self.calls[direction] += 1
                return func(z)

            found = solver(f, x0, **options, **more)
            return found

        return solve

    def __call__(self):
        t = self.theta
        self.adam.zero_grad(set_to_none=True)
        drive, wt = linear(self.x, t["U"], t["b"]), t["W"].t()
        z, _ = self.deq(lambda z: torch.tanh(torch.addmm(drive, z, wt)), torch.zeros_like(drive))
        loss = torch.nn.functional.mse_loss(linear(z[-1], t["Wo"], t["bo"]), self.target)
        loss.backward()
        self.adam.step()
        return loss


step = None


def load(gradients, **request):
    global step
    step = Step(**request)
    loss = step().item()
    protocol.free_cores()
    safetensors.save_file({name: p.grad.contiguous() for name, p in step.theta.items()}, gradients)
    return {"loss": loss, "forward": step.calls["f"], "backward": step.calls["b"]}


protocol.reply(
    ready=True, threads=torch.get_num_threads(), versions=protocol.versions("torch", "torchdeq"),
    blas=re.search("Math Kernel Library Version [^ ]*|OpenBLAS[^ ]*|$", torch.__config__.show()).group(),
    note="stops when the worst sample of the batch has converged")
protocol.serve(load=load, run=lambda times: protocol.timed(step, times))
