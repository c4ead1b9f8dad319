//! The Midtrans Core API wire format (`docs/midtrans.md`).
