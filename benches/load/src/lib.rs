//! What the load generator, the runner and the peers share: the answers, the clocks, the raw loops'
//! request handling.

pub mod answer;
pub mod bound;
pub mod echo;
pub mod histogram;
pub mod readiness;
pub mod request;
pub mod system;
pub mod worker;
