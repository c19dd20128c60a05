//! A slot comes from the ring that lends it; nobody can make one up.

use forebay_core_frame::Slot;

fn main() {
    let _slot = Slot { index: 0, generation: 0 }; //~ E0451
}
