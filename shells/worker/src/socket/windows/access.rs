//! Who may open the pipe: the user of this process, and nobody else.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::{null_mut, slice_from_raw_parts};
use std::io;
use std::path::Path;

use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Words of memory for a user: the structure, and behind it the longest identifier (68 bytes).
const USER_WORDS: usize = 16;

/// A security descriptor that admits the user of this process.
#[derive(Debug)]
pub(super) struct Access {
    descriptor: Local,
}

impl Access {
    /// # Errors
    /// The system does not tell who the user is.
    pub(super) fn of_this_user() -> io::Result<Self> {
        let sddl = format!("D:P(A;;GA;;;{})", user()?);
        let sddl: Vec<u16> = sddl.encode_utf16().chain([0]).collect();
        let mut descriptor = null_mut();
        // SAFETY: the text ends with a zero, `descriptor` outlives the call, and the length is not
        // asked for.
        let done = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                sddl.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        checked(done)?;
        Ok(Self { descriptor: Local(descriptor) })
    }

    /// Creates an instance of the pipe that only this user may open.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn create(
        &self,
        options: &ServerOptions,
        path: &Path,
    ) -> io::Result<NamedPipeServer> {
        let mut attributes = SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: self.descriptor.0,
            bInheritHandle: 0,
        };
        // SAFETY: the attributes and the descriptor, which `self` keeps, outlive the call.
        unsafe { options.create_with_security_attributes_raw(path, (&raw mut attributes).cast()) }
    }
}

/// The identifier of this process's user, as text: `S-1-5-21-...`.
fn user() -> io::Result<String> {
    let mut token: HANDLE = null_mut();
    // SAFETY: has no duties; what it returns needs no closing.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: `token` outlives the call.
    checked(unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) })?;
    let token = Token(token);
    // Words, so that the structure is aligned.
    let mut memory = [0_u64; USER_WORDS];
    let mut len = 0;
    // SAFETY: the token is open, and the length is that of the memory.
    let done = unsafe {
        GetTokenInformation(
            token.0,
            TokenUser,
            memory.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&memory)).unwrap_or(0),
            &raw mut len,
        )
    };
    checked(done)?;
    // SAFETY: the call has filled the memory with this structure, for which it is aligned.
    let user = unsafe { &*memory.as_ptr().cast::<TOKEN_USER>() };
    let mut text = null_mut();
    // SAFETY: the identifier lies behind the structure, in `memory`; `text` outlives the call.
    checked(unsafe { ConvertSidToStringSidW(user.User.Sid, &raw mut text) })?;
    let text = Local(text.cast());
    Ok(text.to_text())
}

/// Memory that a call has allocated for us.
#[derive(Debug)]
struct Local(*mut c_void);

// SAFETY: nothing writes to the memory, and it belongs to no thread.
unsafe impl Send for Local {}
// SAFETY: as above.
unsafe impl Sync for Local {}

impl Local {
    /// UTF-16 up to a zero.
    fn to_text(&self) -> String {
        let start = self.0.cast::<u16>();
        let mut len = 0;
        loop {
            // SAFETY: `len` is at most the index of the zero, so it lies inside the text.
            let unit = unsafe { start.add(len) };
            // SAFETY: as above.
            if unsafe { unit.read() } == 0 {
                break;
            }
            len += 1;
        }
        // SAFETY: so many units lie there, were written by the call, and live as long as `self`.
        let units = unsafe { &*slice_from_raw_parts(start, len) };
        String::from_utf16_lossy(units)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the memory came from a call that documents this way to free it, once.
        unsafe { LocalFree(self.0) };
    }
}

/// An open access token.
struct Token(HANDLE);

impl Drop for Token {
    fn drop(&mut self) {
        // SAFETY: it was opened here and is closed nowhere else.
        unsafe { CloseHandle(self.0) };
    }
}

/// The last error, if a call returned 0.
fn checked(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::Security::{Authorization, DACL_SECURITY_INFORMATION};

    use super::*;

    /// What the system makes of the descriptor says it again: one entry, for this user.
    #[test]
    fn only_this_user_is_admitted() {
        let access = Access::of_this_user().unwrap();
        let mut text = null_mut();
        // SAFETY: the descriptor is a valid one, `text` outlives the call.
        let done = unsafe {
            Authorization::ConvertSecurityDescriptorToStringSecurityDescriptorW(
                access.descriptor.0,
                SDDL_REVISION_1,
                DACL_SECURITY_INFORMATION,
                &raw mut text,
                null_mut(),
            )
        };
        checked(done).unwrap();
        let user = user().unwrap();
        assert!(user.starts_with("S-1-5-"), "{user}");
        assert_eq!(Local(text.cast()).to_text(), format!("D:P(A;;GA;;;{user})"));
    }
}
