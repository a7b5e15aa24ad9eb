//! The size in pixels that a service is asked for.

use crate::domain::JobInput;

/// The size of the job, or the nearest that the service takes if it takes certain ones only: the nearest in its shape first,
/// in its area then.
pub(super) fn size(input: &JobInput, sizes: &[String], separator: &str) -> String {
    let asked = (f64::from(input.width), f64::from(input.height));
    let nearest = sizes
        .iter()
        .filter_map(|size| Some((size, distance(asked, parse(size)?))))
        .min_by(|(_, one), (_, other)| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    match nearest {
        Some((size, _)) => size.clone(),
        None => format!("{}{separator}{}", input.width, input.height),
    }
}

/// How far one shape is from another, and one area.
fn distance((width, height): (f64, f64), (w, h): (f64, f64)) -> (f64, f64) {
    let shape = (width / height).ln() - (w / h).ln();
    let area = (width * height).ln() - (w * h).ln();
    // Shapes that nobody tells apart are the same.
    ((shape.abs() * 50.0).round(), area.abs())
}

/// `1024x1536`, whatever stands between the numbers; `None` for words such as `auto`.
fn parse(size: &str) -> Option<(f64, f64)> {
    let (width, height) = size.split_once(|c: char| !c.is_ascii_digit())?;
    let side = |text: &str| text.parse::<f64>().ok().filter(|side| *side > 0.0);
    Some((side(width)?, side(height)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(width: u32, height: u32, sizes: &[&str]) -> String {
        let input = serde_json::from_value(serde_json::json!({
            "provider": "x", "prompt": "", "user_prompt": "", "seed": 1,
            "width": width, "height": height, "aspect_ratio": "",
        }));
        let sizes: Vec<_> = sizes.iter().map(|size| (*size).to_owned()).collect();
        size(&input.unwrap(), &sizes, "*")
    }

    #[test]
    fn the_size_is_the_nearest_that_the_service_takes() {
        let sizes = ["auto", "1024x1024", "1536x1024", "1024x1536", "512x512"];
        for (width, height, expected) in [
            (1024, 1024, "1024x1024"),
            (2000, 2000, "1024x1024"),
            (600, 600, "512x512"),
            (1920, 1080, "1536x1024"),
            (1080, 1350, "1024x1536"),
        ] {
            assert_eq!(asked(width, height, &sizes), expected, "{width}x{height}");
        }
        assert_eq!(asked(640, 360, &[]), "640*360");
        assert_eq!(asked(640, 360, &["auto"]), "640*360");
    }
}
