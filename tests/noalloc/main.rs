//! The core path of a request allocates nothing: a counting allocator says so.

mod client;
mod front;
mod request;
mod timers;
mod wire;

use forebay_tests::allocator::{Counting, assert_installed};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_allocator_sees_allocations() {
    assert_installed();
}
