//! The QR action's image: a valid PNG with a pattern that differs from payment to payment.
//!
//! It cannot be scanned: paying by QR code is not simulated by camera (`via: qris` of the wallet
//! API stands for it), but clients do fetch the image and check that it is one.

/// Cells per side of the pattern, and pixels per side of a cell.
const CELLS: u32 = 24;
const SCALE: u32 = 8;
const SIDE: u32 = CELLS * SCALE;
/// One filter byte and one bit per pixel.
const ROW_BYTES: u32 = SIDE / 8 + 1;

/// A black and white PNG drawn from `bits`.
pub(crate) fn pattern(bits: u128) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&SIDE.to_be_bytes());
    // One bit a pixel, grey, the only compression and filter methods there are, no interlace.
    header.extend_from_slice(&[1, 0, 0, 0, 0]);
    chunk(&mut image, *b"IHDR", &header);
    chunk(&mut image, *b"IDAT", &zlib_stored(&rows(bits)));
    chunk(&mut image, *b"IEND", &[]);
    image
}

fn rows(bits: u128) -> Vec<u8> {
    let mut pixels = Vec::new();
    for row in 0..CELLS {
        // Eight pixels of one cell are exactly one byte, hence the scale.
        let line: Vec<u8> =
            (0..CELLS).map(|column| if dark(bits, row, column) { 0x00 } else { 0xff }).collect();
        for _ in 0..SCALE {
            pixels.push(0);
            pixels.extend_from_slice(&line);
        }
    }
    pixels
}

/// A white margin, three finder squares as eyes expect them, and the bits in between.
fn dark(bits: u128, row: u32, column: u32) -> bool {
    let margin = |at: u32| at == 0 || at == CELLS - 1;
    if margin(row) || margin(column) {
        return false;
    }
    let (row, column, last) = (row - 1, column - 1, CELLS - 3);
    for (top, left) in [(0, 0), (0, last - 6), (last - 6, 0)] {
        if (top..=top + 6).contains(&row) && (left..=left + 6).contains(&column) {
            let ring = (row - top).abs_diff(3).max((column - left).abs_diff(3));
            return ring != 2;
        }
    }
    (bits >> ((row * 22 + column) % 128)) & 1 == 1
}

/// A zlib stream of one stored block: our few kilobytes are far below its 65,535 bytes.
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    const { assert!(SIDE * ROW_BYTES < 65_536) };
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend_from_slice(&length.to_le_bytes());
    stream.extend_from_slice(&(!length).to_le_bytes());
    stream.extend_from_slice(data);
    stream.extend_from_slice(&adler32(data).to_be_bytes());
    stream
}

fn chunk(image: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    image.extend_from_slice(&length.to_be_bytes());
    image.extend_from_slice(&kind);
    image.extend_from_slice(data);
    image.extend_from_slice(&crc32(kind.iter().chain(data)).to_be_bytes());
}

fn adler32(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16) | low
}

fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_agree_with_their_published_check_values() {
        assert_eq!(crc32(b"123456789".iter()), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn the_image_has_the_parts_of_a_png_and_depends_on_the_bits() {
        let image = pattern(5);
        assert!(image.starts_with(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"));
        assert!(image.ends_with(b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"));
        assert_eq!(image.len(), 8 + 25 + 12 + 5 + 2 + 4 + 192 * 25 + 12);
        assert_eq!(image, pattern(5));
        assert_ne!(image, pattern(6));
    }
}
