//! The infinite-width limit: Q = 0, Q̄ = 1, so that A = T·1 + K/λ1 and the posterior is Gaussian-process regression.
//!
//! Features and weights keep their prior: ⟨G⟩ = K, ⟨v²⟩ = 1/λ1, ⟨(w·û)²⟩ = 1/λ0, and ⟨v⟩ and ⟨v w⟩, of order 1/√N1, vanish. For a σ
//! that is not odd the two parts of A recombine, (K̃ + M)/λ1 = K/λ1. The effective action is S(0, 1) at the network's own width, so
//! that −(N1/2) S − (P/2) ln 2π is the evidence of the Gaussian process, whatever that width.

use super::saddle::Solution;

/// The order parameters of the limit.
pub fn solution() -> Solution {
    Solution { q: 0.0, q_bar: 1.0, residual: 0.0, iterations: 0, other_roots: Vec::new() }
}
