//! Bodies that stay in JavaScript's memory while they are sent.

use std::sync::Arc;

use bytes::Bytes;
use neon::handle::{Handle, Root};
use neon::object::Object as _;
use neon::prelude::{Context, JsUint8Array};
use neon::types::buffer::TypedArray as _;

use super::events::Queue;

/// Below this a copy is cheaper than keeping the array alive.
const BORROW_LEN: usize = 64 * 1024;

/// The memory of an array that JavaScript cannot collect while this lives.
struct Borrowed {
    start: *const u8,
    len: usize,
    array: Option<Root<JsUint8Array>>,
    /// Brings `array` back to JavaScript's thread.
    queue: Arc<Queue>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.queue.give_back(self.array.take());
    }
}

// SAFETY: the memory is read only, `Root` may be dropped anywhere, and nothing here is bound to a
// thread.
#[expect(unsafe_code, reason = "a pointer into JavaScript's memory")]
unsafe impl Send for Borrowed {}

impl AsRef<[u8]> for Borrowed {
    #[expect(unsafe_code, reason = "a pointer into JavaScript's memory")]
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start` and `len` are those of an array whose memory V8 neither moves nor frees
        // while the root holds it, unless its owner detaches it. For that, `lib/link.ts` brings
        // only what nobody but the kernel reads, to which memory that is gone is an error (EFAULT):
        // bodies for plain HTTP/1.1, in buffers that cannot shrink. All others are copies.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }
}

/// The bytes of `array`: copied when they are few, otherwise borrowed until they are sent.
pub(super) fn bytes_of<'cx>(
    cx: &mut impl Context<'cx>,
    array: Handle<'cx, JsUint8Array>,
    queue: &Arc<Queue>,
) -> Bytes {
    let (start, len) = {
        let bytes = array.as_slice(cx);
        if bytes.len() < BORROW_LEN {
            return Bytes::copy_from_slice(bytes);
        }
        (bytes.as_ptr(), bytes.len())
    };
    let (array, queue) = (Some(array.root(cx)), Arc::clone(queue));
    Bytes::from_owner(Borrowed { start, len, array, queue })
}
