"""A training step of the rate network in JAX, compiled as a whole: the same algorithms as ours.

A sample that has converged stays as it is; the loop ends with the last one.
"""

import protocol

jax, safetensors = protocol.packages("jax", "safetensors.numpy")
from jax import lax  # noqa: E402
from jax import numpy as jnp  # noqa: E402


def solve(f, z0, method, rtol, max_evals):
    """Solves z = f(z) by sample. Returns z and the number of evaluations of f."""
    start, advance = method

    def going(carry):
        _, _, _, done, k = carry
        return jnp.logical_not(done.all()) & (k < max_evals)

    def body(carry):
        z, memory, _, done, k = carry
        fz = f(z)
        g = fz - z
        done = done | ((g * g).sum(1) <= rtol**2 * (fz * fz).sum(1))
        new, memory = advance(memory, k, z, fz, g)
        return jnp.where(done[:, None], z, new), memory, fz, done, k + 1

    z, _, _, _, k = lax.while_loop(going, body, (z0, start(z0), z0, jnp.zeros(len(z0), bool), 0))
    return z, k


PICARD = (lambda z: (), lambda memory, k, z, fz, g: (fz, memory))


def anderson(m, regularisation=1e-6):
    """Anderson acceleration (type II) over m iterates, by the normal equations of residuals scaled
    to unit length, whose matrix is kept: each step adds a row."""

    def start(z):
        b, n = z.shape
        ring = jnp.zeros((b, m, n), z.dtype)
        return ring, ring, jnp.zeros((b, m, m), z.dtype)

    def advance(memory, k, z, fz, g):
        fs, gs, gram = memory
        slot = k % m
        fs, gs = fs.at[:, slot].set(fz), gs.at[:, slot].set(g)
        row = jnp.einsum("bn,bmn->bm", g, gs)
        gram = gram.at[:, slot].set(row).at[:, :, slot].set(row)
        used = jnp.arange(m) <= k
        inv = jnp.where(used, lax.rsqrt(jnp.diagonal(gram, axis1=1, axis2=2)), 0)
        c = gram * inv[:, :, None] * inv[:, None, :]
        c = jnp.where(jnp.eye(m, dtype=bool), 1 + regularisation, c)
        alpha = cholesky_solve(c, inv) * inv
        alpha = alpha / alpha.sum(1, keepdims=True)
        return jnp.einsum("bm,bmn->bn", alpha, fs), (fs, gs, gram)

    return start, advance


def cholesky_solve(c, y):
    """Solves c x = y for small matrices [batch, m, m], written out so that XLA vectorises it over the batch."""
    m = c.shape[1]
    l = [[None] * m for _ in range(m)]
    for j in range(m):
        d = c[:, j, j] - sum(l[j][p] ** 2 for p in range(j))
        r = lax.rsqrt(d)
        l[j][j] = r
        for i in range(j + 1, m):
            l[i][j] = (c[:, i, j] - sum(l[i][p] * l[j][p] for p in range(j))) * r
    x = [None] * m
    for i in range(m):
        x[i] = (y[:, i] - sum(l[i][p] * x[p] for p in range(i))) * l[i][i]
    for i in reversed(range(m)):
        x[i] = (x[i] - sum(l[p][i] * x[p] for p in range(i + 1, m))) * l[i][i]
    return jnp.stack(x, 1)


def broyden(pairs):
    """Broyden's good method: H = -1 + U V^T approximates the inverse Jacobian of g."""

    def start(z):
        b, n = z.shape
        ring, zero = jnp.zeros((b, pairs, n), z.dtype), jnp.zeros_like(z)
        return ring, ring, zero, zero

    def low(left, right, x):
        return -x + jnp.einsum("bk,bkn->bn", jnp.einsum("bkn,bn->bk", right, x), left)

    def advance(memory, k, z, fz, g):
        us, vs, dz, old = memory
        h = low(us, vs, g)
        dg = g - old
        v = low(vs, us, dz)
        d = (v * dg).sum(1, keepdims=True)
        # The last step was dz = -H g, so that u = (dz - H dg)/d = -H g_new/d.
        u = jnp.where((k > 0) & (jnp.abs(d) > 0), -h / d, 0)
        us, vs = us.at[:, k - 1].set(u), vs.at[:, k - 1].set(jnp.where(k > 0, v, 0))
        h = h + u * (v * g).sum(1, keepdims=True)
        return z - h, (us, vs, -h, g)

    return start, advance


def training_step(method, rtol, max_evals, lr):
    def cell(theta, x, z):
        return jnp.tanh(z @ theta["W"].T + (x @ theta["U"].T + theta["b"]))

    def step(theta, m, v, t, x, target):
        drive = x @ theta["U"].T + theta["b"]
        z, forward = solve(lambda z: jnp.tanh(z @ theta["W"].T + drive), jnp.zeros_like(drive), method, rtol, max_evals)

        def loss(theta, z):
            return ((z @ theta["Wo"].T + theta["bo"] - target) ** 2).mean()

        value, (grads, dz) = jax.value_and_grad(loss, (0, 1))(theta, z)
        slope = 1 - jnp.tanh(z @ theta["W"].T + drive) ** 2
        u, backward = solve(lambda u: (u * slope) @ theta["W"] + dz, dz, method, rtol, max_evals)
        of_cell = jax.vjp(lambda theta: cell(theta, x, z), theta)[1](u)[0]
        grads = jax.tree.map(jnp.add, grads, of_cell)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        theta = jax.tree.map(
            lambda p, m, v: p - lr * m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), theta, m, v)
        return theta, m, v, t + 1, value, grads, forward, backward

    return jax.jit(step, donate_argnums=(0, 1, 2))


state = None


def load(file, solver, rtol, window, max_evals, lr, gradients):
    global state
    given = {name: jnp.asarray(v) for name, v in safetensors.load_file(file).items()}
    x, target = given.pop("x"), given.pop("target")
    method = {"picard": PICARD, "anderson": anderson(window), "broyden": broyden(max_evals)}[solver]
    step = training_step(method, rtol, max_evals, lr)
    zero = jax.tree.map(jnp.zeros_like, given)
    out = step(given, zero, jax.tree.map(jnp.zeros_like, given), jnp.float32(1), x, target)
    state = [step, out[:4], x, target]
    protocol.free_cores()
    safetensors.save_file({name: jax.device_get(g) for name, g in out[5].items()}, gradients)
    return {"loss": float(out[4]), "forward": int(out[6]), "backward": int(out[7])}


def run():
    step, before, x, target = state
    out = step(*before, x, target)
    out[4].block_until_ready()
    state[1] = out[:4]


protocol.reply(
    ready=True, threads=1, versions=protocol.versions("jax", "jaxlib"), blas="XLA's own",
    note="stops when the worst sample of the batch has converged")
protocol.serve(load=load, run=lambda times: protocol.timed(run, times))
