//! Draws all templates of the starter catalogue on one sheet: `cargo run -p studio --example contact_sheet` writes
//! docs/images/contact-sheet.jpg, each template in four sizes. `-- variations FILE [SEED]` writes four variations of each
//! instead.

mod specimens;

use std::error::Error;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};
use specimens::{Specimen, specimens};
use studio::drawing::{Brief, draw};

const SIZES: [(u32, u32); 4] = [(1080, 1350), (1080, 1080), (1600, 900), (1080, 1920)];
/// The height of a picture on the sheet, and what is free around it.
const HEIGHT: u32 = 230;
const GAP: u32 = 10;
const COLUMNS: usize = 2;
const QUALITY: u8 = 82;
const PAPER: Rgb<u8> = Rgb([225, 225, 222]);

fn main() -> Result<(), Box<dyn Error>> {
    let mut told = std::env::args().skip(1);
    let is_of_variations = told.next().is_some_and(|mode| mode == "variations");
    let home = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/images/contact-sheet.jpg"
    );
    let file = told.next().unwrap_or_else(|| home.to_owned());
    let seed: u64 = told.next().map_or(Ok(1), |seed| seed.parse())?;
    let row = |specimen: &Specimen| -> Result<Vec<RgbImage>, Box<dyn Error>> {
        println!("{}", specimen.template);
        let prompt = &specimen.prompts[0];
        let briefs = (0..4).map(|turn| match is_of_variations {
            true => specimen.brief(prompt, SIZES[0], seed + turn as u64),
            false => specimen.brief(prompt, SIZES[turn], seed),
        });
        briefs.map(|brief| small(&brief)).collect()
    };
    let rows = specimens().iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file)?);
    JpegEncoder::new_with_quality(&mut out, QUALITY).encode_image(&sheet(&rows))?;
    println!("{file}");
    Ok(())
}

fn small(brief: &Brief) -> Result<RgbImage, Box<dyn Error>> {
    let drawn = draw(brief, &mut |_| true)?;
    let width = HEIGHT * drawn.width() / drawn.height();
    Ok(resize(&drawn, width, HEIGHT, FilterType::Lanczos3))
}

/// The rows in columns, from the top.
fn sheet(rows: &[Vec<RgbImage>]) -> RgbImage {
    let wide = |row: &Vec<RgbImage>| row.iter().map(|picture| picture.width() + GAP).sum();
    let width: u32 = rows.iter().map(wide).max().unwrap_or_default();
    let in_column = rows.len().div_ceil(COLUMNS);
    let mut sheet = RgbImage::from_pixel(
        COLUMNS as u32 * (width + GAP) + GAP,
        in_column as u32 * (HEIGHT + GAP) + GAP,
        PAPER,
    );
    for (index, row) in rows.iter().enumerate() {
        let (column, line) = (index / in_column, index % in_column);
        let mut x = GAP + column as u32 * (width + GAP);
        let y = GAP + line as u32 * (HEIGHT + GAP);
        for picture in row {
            overlay(&mut sheet, picture, i64::from(x), i64::from(y));
            x += picture.width() + GAP;
        }
    }
    sheet
}
