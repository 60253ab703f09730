//! Pictures that people send: checked, decoded, and encoded again.
//!
//! What is stored is made from the pixels alone. Names, positions, previews, colour profiles and
//! whatever else a file carries (a script behind the picture, a second file inside it) stay behind.

use std::io::Cursor;
use std::sync::OnceLock;
use std::time::Duration;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use miyun_store::{Deed, MediaId, NewRendition, Rendition, Store};
use tokio::sync::Semaphore;

use crate::app::Platform;
use crate::problem::{Code, Problem};

/// Largest file in bytes.
pub const FILE_LEN_MAX: usize = 8 << 20;
/// Most pixels of a picture.
const PIXELS_MAX: u64 = 24_000_000;
/// Longest side in pixels.
const SIDE_MAX: u32 = 12_000;
/// Most bytes that a decoder may take, with room for 16-bit colour with transparency.
const DECODER_LEN_MAX: u64 = PIXELS_MAX * 8 + (32 << 20);
/// Widths that are kept, widest first; a narrower picture is kept as wide as it is.
const WIDTHS: [u32; 3] = [1_600, 960, 480];
/// Quality of JPEG, from 1 to 100.
const JPEG_QUALITY: u8 = 82;
/// Pictures that are decoded at one time.
const AT_ONCE: usize = 2;
/// How long a picture stays that no article uses: who writes a draft may take a day.
const UNUSED: Duration = Duration::from_secs(86_400);

/// Why a file is not taken as a picture, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file is too large.
    #[error("the picture has {0} bytes; at most {FILE_LEN_MAX}: save it smaller")]
    Len(usize),
    /// The bytes are of another type.
    #[error("this is no PNG, JPEG or WebP picture, whatever its name says: save it as one of them")]
    Type,
    /// Too many pixels.
    #[error(
        "the picture has {0} x {1} pixels; at most {PIXELS_MAX} in all and {SIDE_MAX} a side: save it smaller"
    )]
    Pixels(u32, u32),
    /// The file breaks off or is damaged.
    #[error("the picture cannot be decoded ({0}): open it and save it again")]
    Damaged(String),
}

/// The widths in which a picture is stored, widest first, made from its pixels alone.
///
/// # Errors
/// [`Refusal`] says what is wrong with the file.
pub fn prepare(file: &[u8]) -> Result<Vec<NewRendition>, Refusal> {
    if file.len() > FILE_LEN_MAX {
        return Err(Refusal::Len(file.len()));
    }
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|e| Refusal::Damaged(e.to_string()))?;
    if !matches!(
        reader.format(),
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)
    ) {
        return Err(Refusal::Type);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_LEN_MAX);
    reader.limits(limits);
    let damaged = |e: image::ImageError| Refusal::Damaged(e.to_string());
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    // The head alone tells the size: a small file that unfolds into gigabytes ends here.
    let (w, h) = decoder.dimensions();
    if w == 0 || h == 0 || w.max(h) > SIDE_MAX || u64::from(w) * u64::from(h) > PIXELS_MAX {
        return Err(Refusal::Pixels(w, h));
    }
    // A camera held upright says so beside the pixels; that note is not kept.
    let turned = decoder.orientation().map_err(damaged)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    picture.apply_orientation(turned);
    let mut see_through = picture.color().has_alpha();
    if see_through {
        let pixels = picture.into_rgba8();
        see_through = pixels.pixels().any(|p| p[3] < 255);
        picture = DynamicImage::ImageRgba8(pixels);
    }
    if !see_through {
        picture = DynamicImage::ImageRgb8(picture.into_rgb8());
    }
    let mut widths: Vec<u32> = WIDTHS
        .into_iter()
        .filter(|x| *x < picture.width())
        .collect();
    if widths.len() < WIDTHS.len() {
        widths.insert(0, picture.width());
    }
    // A drawing is smaller and sharper as PNG, a photograph as JPEG; the narrowest decides for all.
    let mut png = see_through;
    let mut out = Vec::new();
    for (k, width) in widths.iter().rev().enumerate() {
        let scaled = scaled(&picture, *width);
        let (as_png, as_jpeg) = match (k, see_through) {
            (0, false) => {
                let (a, b) = (encoded(&scaled, true)?, encoded(&scaled, false)?);
                png = a.len() <= b.len();
                (a, b)
            }
            _ if png => (encoded(&scaled, true)?, Vec::new()),
            _ => (Vec::new(), encoded(&scaled, false)?),
        };
        out.push(NewRendition {
            content_type: if png { "image/png" } else { "image/jpeg" },
            width: scaled.width(),
            height: scaled.height(),
            bytes: if png { as_png } else { as_jpeg },
        });
    }
    out.reverse();
    Ok(out)
}

fn scaled(picture: &DynamicImage, width: u32) -> DynamicImage {
    if width == picture.width() {
        return picture.clone();
    }
    let height = u64::from(picture.height()) * u64::from(width) / u64::from(picture.width());
    let height = u32::try_from(height).unwrap_or(1).max(1);
    picture.resize_exact(width, height, FilterType::CatmullRom)
}

fn encoded(picture: &DynamicImage, png: bool) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    let made = if png {
        let e =
            PngEncoder::new_with_quality(&mut out, CompressionType::Default, PngFilter::Adaptive);
        picture.write_with_encoder(e)
    } else {
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY))
    };
    made.map(|()| out)
        .map_err(|e| Refusal::Damaged(e.to_string()))
}

/// Stores a picture that somebody sent; returns the id by which an article names it.
///
/// # Errors
/// [`Problem`] if the file is no picture that is taken here, or the records do not answer.
pub(crate) async fn keep(
    store: &Store,
    file: axum::body::Bytes,
    by: &str,
    at: jiff::Timestamp,
) -> Result<MediaId, Problem> {
    static TURN: OnceLock<Semaphore> = OnceLock::new();
    // Decoding takes memory: the others wait for their turn.
    let turn = TURN.get_or_init(|| Semaphore::new(AT_ONCE)).acquire().await;
    let made = tokio::task::spawn_blocking(move || prepare(&file))
        .await
        .map_err(Problem::internal)?;
    drop(turn);
    let renditions = made.map_err(|e| {
        let code = match e {
            Refusal::Len(_) | Refusal::Pixels(..) => Code::TooLarge,
            Refusal::Type => Code::UnsupportedType,
            Refusal::Damaged(_) => Code::BadRequest,
        };
        Problem::new(code, e.to_string())
    })?;
    Ok(store.put_picture(&renditions, by, at).await?)
}

/// Removes the pictures that no article uses a day after they were sent; runs as long as the program.
pub(crate) async fn sweep(p: std::sync::Arc<Platform>) {
    let mut every = tokio::time::interval(Duration::from_secs(3_600));
    loop {
        every.tick().await;
        let now = p.now();
        let gone = match p.store.sweep_media(now - UNUSED).await {
            Ok(gone) => gone,
            Err(e) => {
                tracing::warn!(error = %e, "unused pictures were not removed");
                continue;
            }
        };
        for picture in gone {
            let deed = Deed {
                actor: "system",
                action: "picture-remove",
                object: &format!("picture/{picture}"),
                ..Deed::default()
            };
            if let Err(e) = p.store.audit(&deed, now).await {
                tracing::error!(picture, error = %e, "a removal was not recorded");
            }
        }
    }
}

/// Where a stored file is served.
pub(crate) fn url(media: &MediaId) -> String {
    format!("/media/{media}")
}

/// The widths of a picture as `srcset` says them.
pub(crate) fn srcset(all: &[Rendition]) -> String {
    let each: Vec<String> = all
        .iter()
        .map(|r| format!("{} {}w", url(&r.media), r.width))
        .collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Rgb, Rgba};

    /// A picture like a photograph: no two neighbours alike.
    fn photo(w: u32, h: u32) -> DynamicImage {
        let mut x = 7u32;
        DynamicImage::ImageRgb8(ImageBuffer::from_fn(w, h, |i, j| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let n = (x >> 28) as u8;
            Rgb([
                (i % 256) as u8 ^ n,
                (j % 256) as u8,
                ((i + j) % 256) as u8 ^ n,
            ])
        }))
    }

    fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn kind(bytes: &[u8]) -> ImageFormat {
        image::guess_format(bytes).unwrap()
    }

    #[test]
    fn a_photograph_becomes_three_jpegs() {
        let sent = file(&photo(2_000, 1_000), ImageFormat::Jpeg);
        let made = prepare(&sent).unwrap();
        let sizes: Vec<_> = made.iter().map(|r| (r.width, r.height)).collect();
        assert_eq!(sizes, [(1_600, 800), (960, 480), (480, 240)]);
        for r in &made {
            assert_eq!(
                (r.content_type, kind(&r.bytes)),
                ("image/jpeg", ImageFormat::Jpeg)
            );
        }
    }

    #[test]
    fn a_drawing_stays_sharp_and_a_narrow_one_is_not_stretched() {
        let flat = DynamicImage::ImageRgb8(ImageBuffer::from_fn(600, 300, |i, _| {
            Rgb(if i < 300 { [200, 0, 0] } else { [0, 0, 200] })
        }));
        let made = prepare(&file(&flat, ImageFormat::WebP)).unwrap();
        let sizes: Vec<_> = made.iter().map(|r| (r.width, r.content_type)).collect();
        assert_eq!(sizes, [(600, "image/png"), (480, "image/png")]);
        let back = image::load_from_memory(&made[0].bytes).unwrap();
        assert_eq!(back.to_rgb8(), flat.to_rgb8());
    }

    #[test]
    fn what_is_seen_through_stays_so() {
        let glass = DynamicImage::ImageRgba8(ImageBuffer::from_fn(40, 40, |i, _| {
            Rgba([9, 9, 9, if i < 20 { 0 } else { 255 }])
        }));
        let made = prepare(&file(&glass, ImageFormat::Png)).unwrap();
        let back = image::load_from_memory(&made[0].bytes).unwrap();
        assert_eq!(made[0].content_type, "image/png");
        assert_eq!(back.to_rgba8().get_pixel(0, 0)[3], 0);
    }

    #[test]
    fn the_type_is_what_the_bytes_say() {
        for bad in [
            &b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"[..],
            b"<!doctype html><script>alert(1)</script>",
            b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
            b"BM\x00\x00\x00\x00",
            b"%PDF-1.7",
            b"PK\x03\x04",
            b"",
        ] {
            assert_eq!(prepare(bad), Err(Refusal::Type), "{bad:?}");
        }
    }

    #[test]
    fn nothing_but_pixels_is_kept() {
        let script = b"<script>alert(document.domain)</script>";
        let position = b"GPSLatitude 40.3769";
        // A PNG with a comment before its pixels and a page and an archive behind its end.
        let clean = file(&photo(64, 64), ImageFormat::Png);
        let mut text = b"tEXtComment\0".to_vec();
        text.extend_from_slice(script);
        let mut png = clean[..33].to_vec();
        png.extend_from_slice(&u32::try_from(text.len() - 4).unwrap().to_be_bytes());
        png.extend_from_slice(&text);
        png.extend_from_slice(&crc32(&text).to_be_bytes());
        png.extend_from_slice(&clean[33..]);
        png.extend_from_slice(script);
        png.extend_from_slice(b"PK\x03\x04");
        // A JPEG with a position in its notes, a comment, and a page behind its end.
        let clean = file(&photo(64, 64), ImageFormat::Jpeg);
        let mut jpeg = clean[..2].to_vec();
        for (marker, what) in [(0xFE_u8, &script[..]), (0xED, &position[..])] {
            jpeg.extend_from_slice(&[0xFF, marker]);
            jpeg.extend_from_slice(&u16::try_from(what.len() + 2).unwrap().to_be_bytes());
            jpeg.extend_from_slice(what);
        }
        jpeg.extend_from_slice(&clean[2..]);
        jpeg.extend_from_slice(script);
        for sent in [png, jpeg] {
            for r in prepare(&sent).unwrap() {
                let holds = |what: &[u8]| r.bytes.windows(what.len()).any(|w| w == what);
                assert!(!holds(b"<script") && !holds(b"GPSLatitude") && !holds(b"PK\x03\x04"));
            }
        }
    }

    #[test]
    fn a_camera_held_upright_gives_an_upright_picture() {
        let clean = file(&photo(80, 40), ImageFormat::Jpeg);
        // Orientation 6: turn a quarter clockwise.
        let note = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut jpeg = clean[..2].to_vec();
        jpeg.extend_from_slice(&[0xFF, 0xE1]);
        jpeg.extend_from_slice(&u16::try_from(note.len() + 2).unwrap().to_be_bytes());
        jpeg.extend_from_slice(note);
        jpeg.extend_from_slice(&clean[2..]);
        let made = prepare(&jpeg).unwrap();
        assert_eq!((made[0].width, made[0].height), (40, 80));
        assert!(!made[0].bytes.windows(4).any(|w| w == b"Exif"));
    }

    #[test]
    fn a_bomb_is_refused_by_its_head() {
        // 60000 x 60000 pixels of nothing, and the same claim in front of no data.
        let mut png = file(&photo(8, 8), ImageFormat::Png);
        png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let t = std::time::Instant::now();
        assert_eq!(prepare(&png), Err(Refusal::Pixels(60_000, 60_000)));
        // A side within the limit, an area beyond it.
        png[16..20].copy_from_slice(&12_000u32.to_be_bytes());
        png[20..24].copy_from_slice(&12_000u32.to_be_bytes());
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(prepare(&png), Err(Refusal::Pixels(12_000, 12_000)));
        assert!(t.elapsed().as_millis() < 500);
        assert!(matches!(
            prepare(&vec![0; FILE_LEN_MAX + 1]),
            Err(Refusal::Len(_))
        ));
    }

    #[test]
    fn a_file_that_breaks_off_is_an_error() {
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let whole = file(&photo(64, 64), format);
            for cut in [whole.len() / 2, whole.len() / 4, 30] {
                assert!(
                    matches!(
                        prepare(&whole[..cut]),
                        Err(Refusal::Damaged(_) | Refusal::Type)
                    ),
                    "{format:?} {cut}"
                );
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
        #[test]
        fn no_damage_makes_it_fall(
            which in 0usize..3,
            hits in proptest::collection::vec((0usize..4_000, 0u8..=255), 0..12),
        ) {
            let format = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP][which];
            let mut bytes = file(&photo(48, 32), format);
            let n = bytes.len();
            for (at, byte) in hits {
                bytes[at % n] = byte;
            }
            let _ = prepare(&bytes);
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut c = !0u32;
        for b in bytes {
            c ^= u32::from(*b);
            for _ in 0..8 {
                c = if c & 1 == 1 {
                    0xEDB8_8320 ^ (c >> 1)
                } else {
                    c >> 1
                };
            }
        }
        !c
    }
}
