//! 16 bytes at a time, on every 64-bit ARM: what [`super::runs`] and the windows ask for.

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqq_u8, vcltq_u8, vcltzq_s8, vdupq_n_u8, vgetq_lane_u32,
    vgetq_lane_u64, vld1q_u8, vmaxvq_u8, vorrq_u8, vpaddq_u8, vreinterpretq_s8_u8,
    vreinterpretq_u32_u8, vreinterpretq_u64_u8, vst1q_u8, vsubq_u8,
};

/// The bit of each byte within eight.
const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

/// # Safety
/// 16 bytes must be readable, and 16 writable.
#[target_feature(enable = "neon")]
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8) {
    // SAFETY: the caller has the space.
    unsafe { vst1q_u8(to, vld1q_u8(from)) };
}

/// Which of 64 bytes do not stand for themselves, or might not: a coarse test.
///
/// # Safety
/// 64 bytes must be readable.
#[target_feature(enable = "neon")]
#[inline]
pub(super) unsafe fn specials(from: *const u8) -> u64 {
    // SAFETY: the caller has the bytes.
    let block = unsafe { load(from) };
    mask_64(block.map(|bytes| {
        // From `%` to `+` there are seven characters, of which four seldom occur.
        let near = within(bytes, b'%', b'+');
        vorrq_u8(near, vorrq_u8(within(bytes, b'=', b'='), within(bytes, 0, 0)))
    }))
}

/// Which of 64 bytes may, unescaped, belong to a line break: every byte outside 0x20 to 0x7f.
///
/// # Safety
/// 64 bytes must be readable.
#[target_feature(enable = "neon")]
#[inline]
pub(super) unsafe fn unusual_as_sent(from: *const u8) -> u64 {
    // SAFETY: the caller has the bytes.
    let unusual = unsafe { load(from) }.map(|bytes| {
        // What is below a space moves above all that is usual.
        let above = vsubq_u8(bytes, vdupq_n_u8(0x20));
        vorrq_u8(vcltzq_s8(vreinterpretq_s8_u8(bytes)), vcltzq_s8(vreinterpretq_s8_u8(above)))
    });
    if is_any(unusual) { mask_64(unusual) } else { 0 }
}

#[target_feature(enable = "neon")]
#[inline]
pub(super) fn high_bits(block: &[u8; 64]) -> u64 {
    // SAFETY: the block has 64 bytes.
    let high = unsafe { load(block.as_ptr()) };
    let high = high.map(|bytes| vcltzq_s8(vreinterpretq_s8_u8(bytes)));
    // Most blocks have none.
    if is_any(high) { mask_64(high) } else { 0 }
}

#[target_feature(enable = "neon")]
#[inline]
pub(super) fn stops(window: &[u8; super::STOPS]) -> usize {
    let stop = mask_32(window, |bytes| {
        vorrq_u8(
            within(bytes, 0, 0x1f),
            vorrq_u8(within(bytes, b'"', b'"'), within(bytes, b'\\', b'\\')),
        )
    });
    super::zeros(u64::from(stop) | (1 << super::STOPS))
}

#[target_feature(enable = "neon")]
#[inline]
pub(super) fn kinds(window: &[u8; super::STOPS]) -> super::Kinds {
    super::Kinds {
        letters: mask_32(window, |bytes| within(vorrq_u8(bytes, vdupq_n_u8(0x20)), b'a', b'z')),
        digits: mask_32(window, |bytes| within(bytes, b'0', b'9')),
        hyphens: mask_32(window, |bytes| within(bytes, b'-', b'-')),
        dots: mask_32(window, |bytes| within(bytes, b'.', b'.')),
        marks: mask_32(window, |bytes| {
            vorrq_u8(within(bytes, b'_', b'_'), within(bytes, b'+', b'+'))
        }),
    }
}

#[target_feature(enable = "neon")]
#[inline]
pub(super) fn url_marks(window: &[u8; super::STOPS]) -> super::UrlMarks {
    super::UrlMarks {
        unclean: mask_32(window, |bytes| {
            let controls = vorrq_u8(within(bytes, 0, b' '), within(bytes, 0x7f, 0x7f));
            vorrq_u8(controls, within(bytes, b'\\', b'\\'))
        }),
        parts: mask_32(window, |bytes| {
            vorrq_u8(within(bytes, b'?', b'?'), within(bytes, b'#', b'#'))
        }),
    }
}

#[target_feature(enable = "neon")]
#[inline]
pub(super) fn equal(one: &[u8; super::STOPS], other: &[u8; super::STOPS]) -> u32 {
    // SAFETY: two times 16 bytes are in each window.
    let half = |at: usize| unsafe {
        vceqq_u8(vld1q_u8(one.as_ptr().add(at)), vld1q_u8(other.as_ptr().add(at)))
    };
    pack_32([half(0), half(16)])
}

/// # Safety
/// 64 bytes must be readable.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn load(from: *const u8) -> [uint8x16_t; 4] {
    // SAFETY: within the 64 bytes.
    [0, 16, 32, 48].map(|at| unsafe { vld1q_u8(from.add(at)) })
}

/// Which bytes are between two, both included.
#[target_feature(enable = "neon")]
#[inline]
fn within(bytes: uint8x16_t, first: u8, last: u8) -> uint8x16_t {
    if first == last {
        vceqq_u8(bytes, vdupq_n_u8(first))
    } else {
        vcltq_u8(vsubq_u8(bytes, vdupq_n_u8(first)), vdupq_n_u8(last - first + 1))
    }
}

/// Whether a byte of them is set.
#[target_feature(enable = "neon")]
#[inline]
fn is_any([first, second, third, fourth]: [uint8x16_t; 4]) -> bool {
    vmaxvq_u8(vorrq_u8(vorrq_u8(first, second), vorrq_u8(third, fourth))) != 0
}

/// A bit for each byte of which all bits are set.
#[target_feature(enable = "neon")]
#[inline]
fn mask_64(bytes: [uint8x16_t; 4]) -> u64 {
    // SAFETY: there are 16 bytes.
    let bits = unsafe { vld1q_u8(BITS.as_ptr()) };
    let [first, second, third, fourth] = bytes.map(|bytes| vandq_u8(bytes, bits));
    let all = vpaddq_u8(vpaddq_u8(first, second), vpaddq_u8(third, fourth));
    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(all, all)))
}

/// A bit for each byte of a window that is of the kind.
#[target_feature(enable = "neon")]
#[inline]
fn mask_32(window: &[u8; super::STOPS], kind: impl Fn(uint8x16_t) -> uint8x16_t) -> u32 {
    // SAFETY: two times 16 bytes are in the window.
    let half = |at: usize| unsafe { vld1q_u8(window.as_ptr().add(at)) };
    pack_32([kind(half(0)), kind(half(16))])
}

/// A bit for each byte of which all bits are set.
#[target_feature(enable = "neon")]
#[inline]
fn pack_32(bytes: [uint8x16_t; 2]) -> u32 {
    // SAFETY: there are 16 bytes.
    let bits = unsafe { vld1q_u8(BITS.as_ptr()) };
    let [first, second] = bytes.map(|bytes| vandq_u8(bytes, bits));
    let pairs = vpaddq_u8(first, second);
    let fours = vpaddq_u8(pairs, pairs);
    vgetq_lane_u32::<0>(vreinterpretq_u32_u8(vpaddq_u8(fours, fours)))
}
