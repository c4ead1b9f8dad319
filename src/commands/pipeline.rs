//! Blocks of lines on all cores: read by one thread, worked on by several, given back in order. What
//! waits is bounded, however long the input is.

use std::io::{self, BufRead, Read as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crossbeam_channel::bounded;

/// Bytes of a block: what a thread works on for about a millisecond, so that handing it on costs
/// nothing.
const BLOCK_BYTES: usize = 256 * 1024;

/// Some lines of the input, without their ends.
pub(super) struct Block {
    /// The number of the first line, from 1 on.
    first: u64,
    text: Vec<u8>,
    /// Where each line ends in the text.
    ends: Vec<usize>,
}

impl Block {
    /// Each line with its number.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let lines = begins.zip(&self.ends);
        let lines = lines.map(|(begin, end)| self.text.get(begin..*end).unwrap_or_default());
        (self.first..).zip(lines)
    }

    /// Reads lines until the block is full. Of a line that is too long only the beginning is kept, one
    /// byte more than allowed, so that it is seen to be too long. `None` at the end.
    fn read(
        input: &mut dyn BufRead,
        first: u64,
        line_bytes_max: usize,
    ) -> io::Result<Option<Self>> {
        let limit = u64::try_from(line_bytes_max).unwrap_or(u64::MAX).saturating_add(2);
        let mut block = Self { first, text: Vec::with_capacity(BLOCK_BYTES), ends: Vec::new() };
        let text = &mut block.text;
        // Empty lines count too.
        let mut taken = 0;
        while taken < BLOCK_BYTES {
            let begin = text.len();
            let read = (&mut *input).take(limit).read_until(b'\n', text)?;
            if read == 0 {
                break;
            }
            taken += read;
            if text.ends_with(b"\n") {
                text.pop();
                if text.len() > begin && text.ends_with(b"\r") {
                    text.pop();
                }
            } else if text.len() - begin > line_bytes_max {
                input.skip_until(b'\n')?;
            }
            block.ends.push(text.len());
        }
        Ok((!block.ends.is_empty()).then_some(block))
    }
}

/// Has each block of the input worked on by one of `threads`, each with a state of its own, and the
/// results taken in the order of the input.
///
/// # Errors
/// Those of reading, and those of `take`, which ends all.
pub(super) fn in_order<S: Default, R: Send + 'static>(
    mut input: Box<dyn BufRead + Send>,
    line_bytes_max: usize,
    threads: usize,
    work: impl Fn(&Block, &mut S) -> R + Send + Sync + 'static,
    mut take: impl FnMut(R) -> io::Result<()>,
) -> io::Result<()> {
    let threads = threads.max(1);
    let (to_work, blocks) = bounded::<(Block, SyncSender<R>)>(threads);
    // In the order of the input: where each result comes from.
    let (to_take, results) = sync_channel::<Receiver<R>>(threads * 2);
    let work = Arc::new(work);
    // Nobody joins the threads: when the reader of our output has seen enough, the process ends even
    // while one of them waits for input.
    let workers = (0..threads).map(|_| {
        let (work, blocks) = (Arc::clone(&work), blocks.clone());
        thread::spawn(move || {
            let mut state = S::default();
            for (block, result) in blocks {
                if result.send(work(&block, &mut state)).is_err() {
                    return;
                }
            }
        })
    });
    workers.for_each(drop);
    let reader = thread::spawn(move || {
        let mut first = 1;
        while let Some(block) = Block::read(&mut *input, first, line_bytes_max)? {
            first += u64::try_from(block.ends.len()).unwrap_or(u64::MAX);
            let (result, from) = sync_channel(1);
            if to_take.send(from).is_err() || to_work.send((block, result)).is_err() {
                break;
            }
        }
        io::Result::Ok(())
    });
    for result in results {
        let result = result.recv().map_err(|_| io::Error::other("a line ended in a bug"))?;
        take(result)?;
    }
    reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::*;

    fn read(input: &[u8], line_bytes_max: usize) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Vec::new();
        let work = |block: &Block, (): &mut ()| {
            block.lines().map(|(number, line)| (number, line.to_vec())).collect::<Vec<_>>()
        };
        let input = Box::new(Cursor::new(input.to_vec()));
        in_order(input, line_bytes_max, 3, work, |block| {
            lines.extend(block);
            Ok(())
        })
        .unwrap();
        lines
    }

    #[test]
    fn lines_are_cut_at_their_ends_and_at_their_limit() {
        for (input, expected) in [
            ("", &[][..]),
            ("\n", &[""]),
            ("a", &["a"]),
            ("a\r\n\r\nb\n\n", &["a", "", "b", ""]),
            ("a\rb\r\r\n", &["a\rb\r"]),
            ("123456789\n123456\n12345\n1234567", &["1234567", "123456", "12345", "1234567"]),
        ] {
            let expected: Vec<_> =
                (1..).zip(expected.iter().map(|line| line.as_bytes().to_vec())).collect();
            assert_eq!(read(input.as_bytes(), 5), expected, "{input:?}");
        }
    }

    #[test]
    fn many_blocks_keep_their_order_whoever_is_slow() {
        let input: String = (0..300_000).map(|number| format!("{number}\n")).collect();
        let mut next = 1;
        let work = |block: &Block, blocks: &mut u32| {
            *blocks += 1;
            if *blocks % 2 == 1 {
                thread::sleep(Duration::from_millis(3));
            }
            block.lines().map(|(number, line)| (number, line.to_vec())).collect::<Vec<_>>()
        };
        in_order(Box::new(Cursor::new(input)), 100, 4, work, |lines| {
            for (number, line) in lines {
                assert_eq!((number, line), (next, (next - 1).to_string().into_bytes()));
                next += 1;
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(next, 300_001);
    }

    #[test]
    fn who_takes_no_more_ends_all() {
        let input = Box::new(io::BufReader::new(io::repeat(b'\n')));
        let mut taken = 0;
        let ended = in_order(
            input,
            100,
            2,
            |_, (): &mut ()| (),
            |()| {
                taken += 1;
                if taken == 3 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
            },
        );
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
