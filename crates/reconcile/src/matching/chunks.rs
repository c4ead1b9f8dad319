//! The same work on parts of a long list, on several threads.

/// Items a thread takes at least.
const CHUNK_MIN: usize = 10_000;

/// What `work` makes of each part, in order.
pub(crate) fn in_chunks<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    let chunk = items.len().div_ceil(threads.max(1)).max(CHUNK_MIN);
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            items.chunks(chunk).map(|part| scope.spawn(move || work(part))).collect();
        threads
            .into_iter()
            // A panic of a part is a panic of the whole.
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
