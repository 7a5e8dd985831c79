//! Convergence diagnostics and Monte Carlo errors of chains of scalars; knows nothing of networks.
