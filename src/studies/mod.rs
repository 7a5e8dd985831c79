//! Several runs that answer one question.

pub mod bias;
pub mod descent;
pub mod scaling;
pub mod speed;
