//! Vectors of a send, at an address that stays while the kernel reads them.

use core::mem;
use core::ptr::NonNull;

use crate::outgoing::VECTORS;

/// A message header and its vectors; empty until it is first used.
#[derive(Default)]
pub(crate) struct Message(Option<Box<Raw>>);

struct Raw {
    header: libc::msghdr,
    vectors: [libc::iovec; VECTORS],
}

impl Message {
    /// Points at `parts`, as many as fit, and says where the kernel finds it.
    ///
    /// The parts must stay where they are until the kernel has done.
    pub(super) fn load<'a>(
        &mut self,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> NonNull<libc::msghdr> {
        let raw = self.0.get_or_insert_with(|| {
            // SAFETY: both are plain C structs of integers and pointers, for which zero is valid.
            Box::new(unsafe { mem::zeroed() })
        });
        let mut count = 0;
        for (vector, part) in raw.vectors.iter_mut().zip(parts) {
            *vector =
                libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
            count += 1;
        }
        raw.header.msg_iov = raw.vectors.as_mut_ptr();
        raw.header.msg_iovlen = count;
        NonNull::from(&mut raw.header)
    }
}

impl core::fmt::Debug for Message {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Message").finish_non_exhaustive()
    }
}
