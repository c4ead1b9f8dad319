//! Decoding of calls, in buffers of the thread.

use std::cell::RefCell;

use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::items::Item;

thread_local! {
    /// Buffers for decoding, one set a thread; never held across an await.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Decodes a call and hands it on. Nothing of it outlives `run`, not even in memory.
pub(crate) fn with_form<T>(
    body: &[u8],
    run: impl for<'f> FnOnce(&Form<'f>, &'f mut Vec<Item>) -> T,
) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        let (form, items) = Form::decode(body, scratch);
        let done = run(&form, items);
        scratch.wipe();
        done
    })
}
