//! The image of the QR action: a code that a camera reads, as a PNG.

use qrcode::{Color, EcLevel, QrCode};

/// Pixels per side of a module; scanners of phones want at least 3 or 4 on a screen.
const SCALE: usize = 6;
/// Light modules around the code, as the standard asks for (ISO/IEC 18004).
const MARGIN: usize = 4;
const LIGHT: u8 = 0xff;
const DARK: u8 = 0x00;

/// A grey PNG that shows `text`; `None` for more text than a QR code holds (2,331 bytes).
pub(crate) fn image(text: &str) -> Option<Vec<u8>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let side = (code.width() + 2 * MARGIN) * SCALE;
    let mut png = Vec::new();
    let mut encoder =
        png::Encoder::new(&mut png, u32::try_from(side).ok()?, u32::try_from(side).ok()?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&pixels(&code, side)).ok()?;
    Some(png)
}

/// One byte a pixel, row by row.
fn pixels(code: &QrCode, side: usize) -> Vec<u8> {
    let (modules, width) = (code.to_colors(), code.width());
    let dark = |row: usize, column: usize| {
        let inside = row < width && column < width;
        inside && modules.get(row * width + column) == Some(&Color::Dark)
    };
    let module = |pixel: usize| (pixel / SCALE).wrapping_sub(MARGIN);
    (0..side)
        .flat_map(|y| (0..side).map(move |x| (y, x)))
        .map(|(y, x)| if dark(module(y), module(x)) { DARK } else { LIGHT })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a camera reads from the image.
    pub(crate) fn scan(image: &[u8]) -> String {
        let mut reader = png::Decoder::new(std::io::Cursor::new(image)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let size = reader.next_frame(&mut pixels).unwrap();
        let (width, height) =
            (usize::try_from(size.width).unwrap(), usize::try_from(size.height).unwrap());
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            pixels[y * width + x]
        });
        let codes = picture.detect_grids();
        assert_eq!(codes.len(), 1);
        codes[0].decode().unwrap().1
    }

    #[test]
    fn a_camera_reads_what_was_written() {
        for text in [
            "a",
            "https://pay.example/gopay/ui/checkout?referenceid=0b8f8f5e&via=qris",
            &"https://pay.example/".repeat(40),
        ] {
            assert_eq!(scan(&image(text).unwrap()), text);
        }
        assert!(image(&"x".repeat(2_332)).is_none());
    }
}
