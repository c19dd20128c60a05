//! The hot functions and their peers as cases that can be timed (`wall`) or counted
//! (`benches/counts`).

pub mod cases;
pub mod measure;
pub mod rows;
