//! Use cases and workers: accept, apply, refund, deliver, check.
