package solvers

const (
	refPicard = `@article{picard1890,
  author = {Picard, Émile}, title = {Mémoire sur la théorie des équations aux dérivées partielles et la méthode des approximations successives},
  journal = {Journal de Mathématiques Pures et Appliquées}, volume = {6}, pages = {145--210}, year = {1890}}`
	refAnderson = `@article{anderson1965,
  author = {Anderson, Donald G.}, title = {Iterative Procedures for Nonlinear Integral Equations},
  journal = {Journal of the ACM}, volume = {12}, number = {4}, pages = {547--560}, year = {1965}, doi = {10.1145/321296.321305}}`
	refWalkerNi = `@article{walker2011,
  author = {Walker, Homer F. and Ni, Peng}, title = {Anderson Acceleration for Fixed-Point Iterations},
  journal = {SIAM Journal on Numerical Analysis}, volume = {49}, number = {4}, pages = {1715--1735}, year = {2011}, doi = {10.1137/10078356X}}`
	refKelley = `@book{kelley1995,
  author = {Kelley, C. T.}, title = {Iterative Methods for Linear and Nonlinear Equations},
  publisher = {SIAM}, year = {1995}, doi = {10.1137/1.9781611970944}}`
	refGolub = `@book{golub2013,
  author = {Golub, Gene H. and Van Loan, Charles F.}, title = {Matrix Computations}, edition = {4},
  publisher = {Johns Hopkins University Press}, year = {2013}}`
	refBroyden = `@article{broyden1965,
  author = {Broyden, C. G.}, title = {A Class of Methods for Solving Nonlinear Simultaneous Equations},
  journal = {Mathematics of Computation}, volume = {19}, number = {92}, pages = {577--593}, year = {1965}, doi = {10.1090/S0025-5718-1965-0198670-6}}`
	refEisenstat = `@article{eisenstat1996,
  author = {Eisenstat, Stanley C. and Walker, Homer F.}, title = {Choosing the Forcing Terms in an Inexact Newton Method},
  journal = {SIAM Journal on Scientific Computing}, volume = {17}, number = {1}, pages = {16--32}, year = {1996}, doi = {10.1137/0917003}}`
	refWinston = `@inproceedings{winston2020,
  author = {Winston, Ezra and Kolter, J. Zico}, title = {Monotone operator equilibrium networks},
  booktitle = {Advances in Neural Information Processing Systems}, volume = {33}, year = {2020}, eprint = {2006.08591}, archivePrefix = {arXiv}}`
	refSaad = `@article{saad1986,
  author = {Saad, Youcef and Schultz, Martin H.}, title = {GMRES: A Generalized Minimal Residual Algorithm for Solving Nonsymmetric Linear Systems},
  journal = {SIAM Journal on Scientific and Statistical Computing}, volume = {7}, number = {3}, pages = {856--869}, year = {1986}, doi = {10.1137/0907058}}`
	refVanDerVorst = `@article{vandervorst1992,
  author = {van der Vorst, H. A.}, title = {Bi-CGSTAB: A Fast and Smoothly Converging Variant of Bi-CG for the Solution of Nonsymmetric Linear Systems},
  journal = {SIAM Journal on Scientific and Statistical Computing}, volume = {13}, number = {2}, pages = {631--644}, year = {1992}, doi = {10.1137/0913035}}`
	refSchlenkrich = `@article{schlenkrich2010,
  author = {Schlenkrich, Sebastian and Griewank, Andreas and Walther, Andrea}, title = {On the local convergence of adjoint Broyden methods},
  journal = {Mathematical Programming}, volume = {121}, pages = {221--247}, year = {2010}, doi = {10.1007/s10107-008-0232-y}}`
)
