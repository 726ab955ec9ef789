"""Writes the .npz files beside it, but for rnn_reference.npz, with numpy: python3 make.py

planted.npz holds z = tanh(W z + b) with the fixed points of reference.npz: W Z = artanh Z - b, of least norm.
reference.npz holds those points and numpy's eigenvalues of the Jacobians there. pitchfork.npz is one unit
that has two stable points, and one that forgets, with U and x; line.npz the map z <- 2z. loop.npz holds a
random network with a loop of rank one, W = g chi + m n^T, and an input along I; loop_reference.npz the fixed points
that a scan of the loop finds, in the order of k = n^T r, the overlaps n^T m and n^T I, and whether numpy finds
all eigenvalues of the Jacobian left of 1. parts.npz holds the same network as W = g chi, m and n. The
other files are refused.
"""
import pathlib
import zipfile

import numpy

here = pathlib.Path(__file__).parent
r = numpy.random.default_rng(7)
n = 24
z = r.uniform(-0.9, 0.9, size=(n, 4))
b = 0.1 * r.normal(size=n)
w = (numpy.arctanh(z) - b[:, None]) @ numpy.linalg.pinv(z)
assert numpy.allclose(numpy.tanh(w @ z + b[:, None]), z)
values = numpy.array([numpy.linalg.eigvals((1 - p[:, None] ** 2) * w) for p in z.T])
numpy.savez(here / "planted.npz", W=w, b=b)
numpy.savez(here / "reference.npz", points=z.T, real=values.real, imag=values.imag)
numpy.savez(here / "pitchfork.npz", W=numpy.array([[1.5, 0], [0, 0.2]]), U=numpy.array([[0.0], [1.0]]),
            x=numpy.array([[0.0], [0.5]], dtype=numpy.float32))
numpy.savez(here / "line.npz", W=numpy.array([[2.0]]))


def opened(k):
    """The rates of the open loop, held at k."""
    rates = numpy.zeros(len(m))
    for _ in range(200):
        rates = numpy.tanh(chi @ rates + m * k + i)
    return rates


def root(a, b):
    """The k between a and b that comes back around the loop, by bisection."""
    rises = readout @ opened(a) > a
    for _ in range(60):
        k = (a + b) / 2
        a, b = (k, b) if (readout @ opened(k) > k) == rises else (a, k)
    return a


n = 60
chi = 0.3 * r.normal(size=(n, n)) / n**0.5
xi, m, i = numpy.linalg.qr(r.normal(size=(n, 3)))[0].T * n**0.5
m, i = 1.2 * (xi / 2 + 0.75**0.5 * m), 0.5 * (xi / 2 + 0.75**0.5 * i)
readout = 1.5 * (2 * m + i) / n
grid = numpy.linspace(-6, 6, 241)
gaps = numpy.array([readout @ opened(k) - k for k in grid])
rates = [opened(root(grid[j], grid[j + 1])) for j in numpy.flatnonzero(gaps[:-1] * gaps[1:] < 0)]
w = chi + numpy.outer(m, readout)
left = [numpy.linalg.eigvals((1 - p[:, None] ** 2) * w).real.max() < 1 for p in rates]
assert all(numpy.allclose(numpy.tanh(w @ p + i), p) for p in rates)
numpy.savez(here / "loop.npz", W=w, U=i[:, None], x=numpy.ones((1, 1)))
numpy.savez(here / "parts.npz", W=chi, m=m, n=readout, U=i[:, None], x=numpy.ones((1, 1)))
numpy.savez(here / "loop_reference.npz", points=rates, stable=numpy.array(left, dtype=float),
            overlaps=numpy.array([readout @ m, readout @ i]))

# What is refused: half a loop, a loop of another size, two arrays for W, and a pickle of PyTorch.
numpy.savez(here / "onlym.npz", W=numpy.eye(3) / 2, m=numpy.ones(3))
numpy.savez(here / "badn.npz", W=numpy.eye(3) / 2, m=numpy.ones((3, 2)), n=numpy.ones((3, 2)))
numpy.savez(here / "two.npz", W=numpy.eye(3), weight_hh_l0=numpy.eye(3))
numpy.savez(here / "biases.npz", weight_hh_l0=numpy.eye(3), bias_ih_l0=numpy.ones(3), bias_hh_l0=numpy.ones(2))
with zipfile.ZipFile(here / "network.pt", "w") as f:
    f.writestr(zipfile.ZipInfo("network/data.pkl"), b"")

# A focus, a relu network at its kinks, exponents of −∞, and a network that is driven, with its exponents.
numpy.savez(here / "focus.npz", W=[[0.9, -3], [3, 0.9]])
numpy.savez(here / "inhibited.npz", W=[[0.0, -5], [-5, 0.5]])
numpy.savez(here / "nilpotent.npz", W=numpy.eye(5, k=1))
rng = numpy.random.default_rng(12)
W, U, x = 1.5 * rng.normal(size=(6, 6)) / 6**0.5, rng.normal(size=(6, 2)), rng.normal(size=(20, 2))
z, q, logs = numpy.zeros(6), numpy.linalg.qr(rng.normal(size=(6, 6)))[0], numpy.zeros(6)
for t in range(11000):
    z = numpy.tanh(W @ z + U @ x[t % 20])
    q, r = numpy.linalg.qr((1 - z[:, None] ** 2) * (W @ q))
    logs += (t >= 1000) * numpy.log(abs(numpy.diag(r)))
numpy.savez(here / "driven.npz", W=W, U=U, exponents=logs / 10000)
numpy.savez(here / "drive.npz", x=x)
