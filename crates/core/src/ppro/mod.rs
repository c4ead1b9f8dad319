//! The PPRO Simple API wire format (`docs/psp-guide.md`).

pub mod call;
pub mod check;
pub mod field;
pub mod form;
pub mod hash;
pub mod items;
pub mod manual;
pub mod reply;
pub mod transaction;
