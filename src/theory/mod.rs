//! Float64 theory of the proportional limit: order parameters and everything that follows from them; knows nothing of samples.
