// Package meanfield is the theory of large feedback networks
//
//	dx/dt = −x + gχφ(x) + m z + I,   z = nᵀφ(x),   φ = tanh
//
// of N units with χ_ij ~ N(0, 1/N) and vectors m, I and N·n whose entries are jointly Gaussian
// from unit to unit and independent of χ. As N grows, the state of a unit is Gaussian
// too, and the network is described by a few numbers: the readout z and the mean and the
// variance Δ of x. There is no simulation in this package.
//
// Network has the statistics of χ, m and I, Readout those of n. The loop is first opened:
// Network.Clamp tells the state with z held at a value, and Readout.Of what z would be read
// out of it, F(z). The stationary solutions of the closed loop are the roots of F(z) = z, which
// Loop.Solutions finds by a scan; their stability follows from the bulk of the spectrum, a disc,
// and two outliers. LeastSquares is the theory of an n that was trained on a finite
// network, which depends on χ.
//
// The model is that of F. Mastrogiuseppe and S. Ostojic, "A Geometrical Analysis of Global
// Stability in Trained Feedback Networks", Neural Computation 31 (2019) 1139–1182,
// arXiv:1809.02386; the form with means that of the same authors, "Linking Connectivity, Dynamics,
// and Computations in Low-Rank Recurrent Neural Networks", Neuron 99 (2018) 609–623,
// doi:10.1016/j.neuron.2018.07.003; chaos after H. Sompolinsky, A. Crisanti and H. J. Sommers,
// Physical Review Letters 61 (1988) 259–262, doi:10.1103/PhysRevLett.61.259.
package meanfield
