//! What the start alone needed of the program's files, given back.

#[cfg(target_os = "linux")]
pub(super) use linux::give_back_start;

/// Nothing to do where files are mapped in another way.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_back_start() {}

#[cfg(target_os = "linux")]
mod linux {
    use core::ffi::c_void;
    use core::ops::Range;
    use core::ptr;
    use std::fs::File;
    use std::io::{BufRead, BufReader};

    use rustix::mm::{Advice, madvise};

    /// Takes code and constants out of memory: reading a configuration and starting touches nearly
    /// all of the binary, serving a small part. What is needed again comes back from the file, in
    /// most cases without reading it, since the kernel still has its pages.
    pub(in crate::serve) fn give_back_start() {
        let Ok(smaps) = File::open("/proc/self/smaps") else { return };
        for range in untouched_files(BufReader::new(smaps)) {
            discard(&range);
        }
    }

    #[expect(unsafe_code, reason = "there is no safe way to speak of mapped memory")]
    fn discard(range: &Range<usize>) {
        let start = ptr::with_exposed_provenance_mut::<c_void>(range.start);
        // SAFETY: the mapping is of a file, cannot be written and has no page that differs from it,
        // so whoever reads it again finds the same bytes.
        let _still_resident = unsafe { madvise(start, range.len(), Advice::LinuxDontNeed) };
    }

    /// The mappings of files that are the same as the file: those that cannot be written and were
    /// not (by the dynamic linker, or a debugger that set a breakpoint).
    fn untouched_files(smaps: impl BufRead) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut current = None;
        for line in smaps.lines().map_while(Result::ok) {
            if let Some(mapping) = mapping(&line) {
                current = mapping;
            } else if let Some(size) = line.strip_prefix("Anonymous:")
                && let Some(range) = current.take()
                && size.trim() == "0 kB"
            {
                found.push(range);
            }
        }
        found
    }

    /// The line that a mapping starts with: `START-END PERMISSIONS OFFSET DEVICE INODE PATH`.
    /// `None` if it is another one, `Some(None)` for what can be written or is not of a file.
    fn mapping(line: &str) -> Option<Option<Range<usize>>> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let range = address(start)?..address(end)?;
        let is_private_and_read = words.next().is_some_and(|it| matches!(it, "r--p" | "r-xp"));
        let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
        Some((is_private_and_read && is_file).then_some(range))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_what_equals_its_file_is_given_back() {
            let smaps = "\
55d0c0000000-55d0c0092000 r--p 00000000 fe:01 12  /usr/bin/for ebay
Size:                584 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
55d0c0092000-55d0c0268000 r-xp 00091000 fe:01 12  /usr/bin/forebay
Anonymous:             4 kB
55d0c0268000-55d0c027a000 r--p 00266000 fe:01 12  /usr/bin/forebay
Anonymous:            56 kB
55d0c027a000-55d0c027c000 rw-p 00277000 fe:01 12  /usr/bin/forebay
Anonymous:             0 kB
7f0000000000-7f0000008000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000010000-7f0000166000 r-xp 00028000 fe:01 99  /usr/lib/libc.so.6
Anonymous:             0 kB
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0   [vdso]
Anonymous:             0 kB
";
            let found = untouched_files(smaps.as_bytes());
            assert_eq!(
                found,
                [0x55d0_c000_0000..0x55d0_c009_2000, 0x7f00_0001_0000..0x7f00_0016_6000]
            );
        }

        /// The program goes on with the code and the constants that it gave back.
        #[test]
        fn what_was_given_back_is_resident_no_more_and_comes_back() {
            let resident = || {
                let status = std::fs::read_to_string("/proc/self/status").unwrap();
                let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
                line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
            };
            let table = ["what", "is", "here", "is", "a", "constant"];
            let (before, text) = (resident(), table.join(" "));
            give_back_start();
            assert!(resident() < before, "of {before} kB nothing was given back");
            assert_eq!(table.join(" "), text);
        }
    }
}
