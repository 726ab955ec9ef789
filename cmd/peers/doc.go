// Package peers runs other frameworks beside ours: the same training step of the same
// network, with the same weights, data, tolerance and solver, in turns with ours.
//
// The peers are
//
//	torchdeq  deep-equilibrium networks on PyTorch, with its own solvers
//	jax       the same algorithms as ours, the whole step compiled by XLA
//	numpy     matrix products alone, by OpenBLAS
//
// They run on the CPU and on one thread. To install them in a folder of their own:
//
//	python3 -m venv peers
//	peers/bin/pip install -r cmd/peers/scripts/requirements.txt
//	attractor bench --peers --python peers/bin/python
//
// The step is: the equilibrium z* = tanh(z*Wᵀ + xUᵀ + b) from z = 0; the mean squared error
// of its linear readout; the adjoint solve; the gradients of all parameters; Adam. A sample has
// converged when ‖f(z) − z‖ ≤ rtol·‖f(z)‖, forward and backward. Ours takes a sample that has
// converged out of the batch; the peers go on until the worst sample has, so that their
// evaluations are those of the whole batch, and ours the mean over the samples. Torchdeq's
// Anderson begins with two evaluations, its adjoint solve from 0 where ours begins from
// ∂L/∂z*, and its gradient needs one more evaluation of the cell each way.
//
// A peer is a Python script that answers requests, one JSON object a line, so that it takes its
// turns with ours in one run: see scripts/protocol.py. The gradients of all are compared.
//
// A further script prints trials of neurogym. Where neurogym is installed, the test of this package
// compares them with those of our tasks, trial by trial. Its two semantics need a folder each:
//
//	python3 -m venv neurogym && neurogym/bin/pip install -r cmd/peers/scripts/requirements-neurogym.txt
//	python3 -m venv first && first/bin/pip install -r cmd/peers/scripts/requirements-neurogym-first.txt
//	ATTRACTOR_NEUROGYM=neurogym/bin/python ATTRACTOR_NEUROGYM_FIRST=first/bin/python go test -run Neurogym -v ./cmd/peers
//
// (with absolute paths). Version 0.0.2 is the oldest that can be installed; the six tasks in it are
// line by line those of v0.0.1.
package peers
