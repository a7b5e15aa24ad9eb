//! Draws all templates of the starter catalogue on one sheet: `cargo run -p studio --example contact_sheet` writes
//! docs/images/contact-sheet.jpg, each template in four sizes. `-- variations FILE` writes four variations of each instead, and
//! `-- one FILE TEMPLATE SEED WIDTH HEIGHT` one picture.

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
const HOME: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/images/contact-sheet.jpg"
);
const PAPER: Rgb<u8> = Rgb([225, 225, 222]);

fn main() -> Result<(), Box<dyn Error>> {
    let told: Vec<String> = std::env::args().skip(1).collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let (file, drawn) = match told[..] {
        [] => (HOME, sheet(&rows(|turn| (SIZES[turn], 1))?)),
        ["variations", file] => (file, sheet(&rows(|turn| (SIZES[0], turn as u64))?)),
        ["one", file, template, seed, width, height] => {
            let size = (width.parse()?, height.parse()?);
            (file, one(template, size, seed.parse()?)?)
        }
        _ => {
            return Err(
                "expected nothing, `variations FILE`, or `one FILE TEMPLATE SEED WIDTH HEIGHT`"
                    .into(),
            );
        }
    };
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    JpegEncoder::new_with_quality(&mut out, QUALITY).encode_image(&drawn)?;
    println!("{file}");
    Ok(())
}

/// Four small pictures of each template, in the size and with the seed of their turn.
fn rows(of: impl Fn(usize) -> ((u32, u32), u64)) -> Result<Vec<Vec<RgbImage>>, Box<dyn Error>> {
    let row = |specimen: &Specimen| -> Result<Vec<RgbImage>, Box<dyn Error>> {
        println!("{}", specimen.template);
        let briefs = (0..4).map(|turn| {
            let (size, seed) = of(turn);
            specimen.brief(&specimen.prompts[0], size, seed)
        });
        briefs.map(|brief| small(&brief)).collect()
    };
    specimens().iter().map(row).collect()
}

/// One template's picture, as large as it is.
fn one(template: &str, size: (u32, u32), seed: u64) -> Result<RgbImage, Box<dyn Error>> {
    let specimens = specimens();
    let specimen = specimens.iter().find(|one| one.template == template);
    let specimen = specimen.ok_or("no such template")?;
    let brief = specimen.brief(&specimen.prompts[0], size, seed);
    Ok(draw(&brief, &mut |_| true)?)
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
