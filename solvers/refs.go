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
)
