//! Frames of the log that were handed over and not written yet.
//!
//! A frame comes in two writes: a header of 24 bytes, then its page. The header of the last frame
//! of a commit carries the size of the database, that of any other a zero
//! (<https://www.sqlite.org/fileformat2.html#walformat>). That header ends what waits, and so does its page:
//! of a transaction that has overwritten its own frames, SQLite writes headers alone at the end.

/// Length of a frame's header, bytes.
const HEADER: usize = 24;

/// Where a header has the size of the database after the commit, in pages.
const SIZE_AFTER_COMMIT: std::ops::Range<usize> = 4..8;

/// How much waits at most, bytes: 31 frames. SQLite's VFS for Unix takes no more by one call: of a length it
/// looks at 17 bits only (`seekAndWriteFd`).
const MOST: usize = 0x1_ffff;

/// One stretch of the log.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    at: i64,
    bytes: Vec<u8>,
    /// The last header was that of the last frame of a commit.
    commit: bool,
}

/// What is to be done with a write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It waits.
    Waits,
    /// It waits, and all that waits must be written now.
    Due,
    /// It does not follow on what waits, or is too large: what waits comes first.
    No,
}

impl Frames {
    /// Keeps a write of these bytes at this place of the file, if it can.
    pub(crate) fn keep(&mut self, at: i64, bytes: &[u8]) -> Kept {
        let follows = self.bytes.is_empty() || self.end() == Some(at);
        let length = self.bytes.len().saturating_add(bytes.len());
        if !follows || length > MOST || self.bytes.try_reserve(bytes.len()).is_err() {
            return Kept::No;
        }
        if self.bytes.is_empty() {
            self.at = at;
        }
        self.bytes.extend_from_slice(bytes);
        if bytes.len() == HEADER {
            self.commit = bytes.get(SIZE_AFTER_COMMIT) != Some([0; 4].as_slice());
        }
        if self.commit { Kept::Due } else { Kept::Waits }
    }

    /// What waits, and where it belongs; none if nothing does.
    pub(crate) fn waiting(&self) -> Option<(i64, &[u8])> {
        (!self.bytes.is_empty()).then_some((self.at, self.bytes.as_slice()))
    }

    /// Forgets what waits. Its memory stays for the next.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    fn end(&self) -> Option<i64> {
        self.at.checked_add(i64::try_from(self.bytes.len()).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Frames, HEADER, Kept, MOST};

    const PAGE: usize = 4096;

    fn header(size_after_commit: u32) -> [u8; HEADER] {
        let mut header = [7; HEADER];
        header[4..8].copy_from_slice(&size_after_commit.to_be_bytes());
        header
    }

    #[test]
    fn a_commit_is_due_with_the_header_and_with_the_page_of_its_last_frame() {
        let (mut frames, page) = (Frames::default(), [1; PAGE]);
        assert_eq!(frames.keep(32, &header(0)), Kept::Waits);
        assert_eq!(frames.keep(56, &page), Kept::Waits);
        assert_eq!(frames.keep(4152, &header(9)), Kept::Due);
        assert_eq!(frames.waiting().map(|(at, bytes)| (at, bytes.len())), Some((32, 4144)));
        frames.clear();
        assert_eq!(frames.waiting(), None);
        assert_eq!(frames.keep(4176, &page), Kept::Due);
        frames.clear();
        assert_eq!(
            frames.keep(8272, &header(0)),
            Kept::Waits,
            "the mark was that of the one before"
        );
        assert_eq!(frames.keep(8296, &page), Kept::Waits);
    }

    #[test]
    fn what_does_not_follow_is_not_kept_with_what_waits() {
        for at in [0, 31, 55, 57, i64::MAX] {
            let mut frames = Frames::default();
            assert_eq!(frames.keep(32, &header(0)), Kept::Waits);
            assert_eq!(frames.keep(at, &[1; PAGE]), Kept::No, "{at}");
            assert_eq!(frames.waiting().map(|(at, bytes)| (at, bytes.len())), Some((32, HEADER)));
        }
    }

    #[test]
    fn no_more_waits_than_is_bounded() {
        let mut frames = Frames::default();
        assert_eq!(frames.keep(0, &vec![0; MOST + 1]), Kept::No);
        assert_eq!(frames.keep(0, &vec![0; MOST]), Kept::Waits);
        assert_eq!(frames.keep(i64::try_from(MOST).expect("fits"), &[0]), Kept::No);
    }
}
