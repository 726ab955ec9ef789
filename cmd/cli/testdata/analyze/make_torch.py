"""Writes rnn.safetensors, half.safetensors and rnn_reference.npz beside it, with PyTorch and safetensors: python3 make_torch.py

rnn.safetensors is the state of a module with an nn.RNN of 16 units and 3 inputs and a linear readout, as
safetensors.torch.save_file writes it; rnn_reference.npz an input, the state to which that RNN comes with it, PyTorch's
Jacobian there and its eigenvalues. half.safetensors holds W in half precision.
"""
import pathlib

import numpy
import safetensors.torch
import torch

here = pathlib.Path(__file__).parent
torch.manual_seed(3)


class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.RNN(3, 16)
        self.readout = torch.nn.Linear(16, 2)


module = Module()
safetensors.torch.save_file(module.state_dict(), here / "rnn.safetensors")
safetensors.torch.save_file({"W": module.rnn.weight_hh_l0.half()}, here / "half.safetensors")
rnn = module.rnn.double()
x = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)


def step(h):
    return rnn(x.view(1, 1, 3), h.view(1, 1, 16))[1].view(16)


h = torch.zeros(16, dtype=torch.float64)
with torch.no_grad():
    for _ in range(2000):
        h = step(h)
jacobian = torch.autograd.functional.jacobian(step, h)
values = numpy.linalg.eigvals(jacobian.numpy())
numpy.savez(here / "rnn_reference.npz", x=x.numpy(), h=h.numpy(), jacobian=jacobian.numpy(), real=values.real, imag=values.imag)
