use proptest::prelude::*;

use super::*;
use crate::{Format, picture, provenance};

/// Exif in both orders of bytes: an orientation, and where it was.
fn exif(is_little: bool) -> Vec<u8> {
    let short = |value: u16| match is_little {
        true => value.to_le_bytes(),
        false => value.to_be_bytes(),
    };
    let long = |value: u32| match is_little {
        true => value.to_le_bytes(),
        false => value.to_be_bytes(),
    };
    let mut tiff = if is_little { b"II*\0" } else { b"MM\0*" }.to_vec();
    tiff.extend(long(8));
    tiff.extend(short(3));
    // Orientation, GPS, and a longer text behind them.
    tiff.extend(
        [
            &short(0x0112)[..],
            &short(3),
            &long(1),
            &short(6),
            &short(0),
        ]
        .concat(),
    );
    tiff.extend([&short(0x8825)[..], &short(4), &long(1), &long(50)].concat());
    tiff.extend([&short(0x9999)[..], &short(2), &long(4), b"kept"].concat());
    tiff.extend(long(0));
    assert_eq!(tiff.len(), 50);
    tiff.extend(short(1));
    tiff.extend([&short(2)[..], &short(5), &long(3), &long(68)].concat());
    tiff.extend(long(0));
    tiff.extend(b"LATITUDE-OF-A-HOME-24-B-");
    tiff
}

fn segment(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap();
    [&[0xFF, 0xE1][..], &length.to_be_bytes(), data].concat()
}

fn picture(format: Format) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(40, 20, |x, _| image::Rgb([u8::from(x < 20) * 200; 3]));
    picture::encode(&picture, format).unwrap().to_vec()
}

fn holds(file: &[u8], what: &str) -> bool {
    find(file, what.as_bytes()).is_some()
}

const PACKET: &str = r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="10,46.5N" drone-dji:GpsLatitude="+10.7769" exif:ISO="100"
 exif:GPSLongitude = '106,41.9E'><exif:GPSAltitude>9/1</exif:GPSAltitude><exif:GPSMapDatum/><exif:Flash>no</exif:Flash>
</rdf:Description></rdf:RDF></x:xmpmeta>"#;

fn assert_blank(packet: &[u8]) {
    for gone in ["GPS", "Gps", "10.7769", "10,46.5N", "106,41.9E", "9/1"] {
        assert!(!holds(packet, gone), "{gone} is there");
    }
    for kept in ["exif:ISO=\"100\"", "<exif:Flash>no</exif:Flash>"] {
        assert!(holds(packet, kept), "{kept} is gone");
    }
}

#[test]
fn a_jpeg_keeps_its_orientation_and_pixels_and_loses_its_place() {
    for is_little in [true, false] {
        let plain = picture(Format::Jpg);
        let exif = segment(&[EXIF, &exif(is_little)].concat());
        let xmp = [b"http://ns.adobe.com/xap/1.0/\0", PACKET.as_bytes()].concat();
        let file = [&plain[..2], &exif, &segment(&xmp), &plain[2..]].concat();
        let stripped = without(&file, Format::Jpg).unwrap();
        assert_eq!(stripped.len(), file.len());
        assert!(!holds(&stripped, "LATITUDE"));
        assert!(holds(&stripped, "kept"));
        assert_blank(&stripped);
        let decoded = |file: &[u8]| picture::decode(file, Format::Jpg, u64::MAX).unwrap();
        let (width, height) = (decoded(&stripped).width(), decoded(&stripped).height());
        assert_eq!((width, height), (20, 40), "as the orientation says");
        assert_eq!(decoded(&plain).rotate90(), decoded(&stripped));
        assert_eq!(without(&stripped, Format::Jpg), None);
        assert_eq!(without(&plain, Format::Jpg), None);
    }
}

/// A picture with names of places as Photoshop and IPTC write them, in XMP and in image resources.
#[test]
fn a_jpeg_loses_the_names_of_its_place_and_keeps_who_made_it() {
    const PACKET: &str = r#"<rdf:Description photoshop:City="HANOI" photoshop:Credit="An" Iptc4xmpCore:CountryCode='VNM'>
<Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li Iptc4xmpExt:Sublocation="HANGDAO"/></rdf:Bag></Iptc4xmpExt:LocationCreated>
<Iptc4xmpCore:Location>OLDQUARTER</Iptc4xmpCore:Location><dc:title>A city: quiet</dc:title></rdf:Description>"#;
    let field = |number: u8, value: &str| {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[0x1C, 2, number][..], &length, value.as_bytes()].concat()
    };
    let fields = [
        field(80, "Byline An"),
        field(90, "HANOI"),
        field(92, "HANGDAO"),
        field(101, "VIETNAM"),
        field(120, "A caption"),
    ];
    let fields = fields.concat();
    let resource = |number: u16, name: &[u8], data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let padding = vec![0; data.len() % 2];
        [
            b"8BIM",
            &number.to_be_bytes()[..],
            name,
            &length,
            data,
            &padding,
        ]
        .concat()
    };
    let resources = [
        b"Photoshop 3.0\0".to_vec(),
        resource(0x0425, b"\0\0", b"digest of "),
        resource(0x0404, b"\x03abc", &fields),
        resource(0x03ED, b"\0\0", b"resolution"),
    ];
    let mut resources = segment(&resources.concat());
    resources[1] = 0xED;
    let plain = picture(Format::Jpg);
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0", PACKET.as_bytes()].concat();
    let file = [&plain[..2], &segment(&xmp), &resources, &plain[2..]].concat();
    let stripped = without(&file, Format::Jpg).unwrap();
    for gone in ["HANOI", "VNM", "HANGDAO", "OLDQUARTER", "VIETNAM"] {
        assert!(holds(&file, gone) && !holds(&stripped, gone), "{gone}");
    }
    for kept in [
        "photoshop:Credit=\"An\"",
        "A city: quiet",
        "Byline An",
        "A caption",
        "resolution",
    ] {
        assert!(holds(&stripped, kept), "{kept} is gone");
    }
    assert_eq!(stripped.len(), file.len());
    assert_eq!(
        picture::decode(&stripped, Format::Jpg, u64::MAX).unwrap(),
        picture::decode(&plain, Format::Jpg, u64::MAX).unwrap()
    );
    assert_eq!(without(&stripped, Format::Jpg), None);
}

#[test]
fn a_second_picture_in_the_file_loses_its_place_too() {
    let plain = picture(Format::Jpg);
    let exif = segment(&[EXIF, &exif(true)].concat());
    let second = [&plain[..2], &exif, &plain[2..]].concat();
    let stripped = without(&[plain, second].concat(), Format::Jpg).unwrap();
    assert!(!holds(&stripped, "LATITUDE"));
}

#[test]
fn a_png_has_right_checksums_when_its_place_is_gone() {
    let plain = picture(Format::Png);
    let header = 8 + 25;
    let xmp = [b"XML:com.adobe.xmp\0\0\0\0\0", PACKET.as_bytes()].concat();
    let profile = b"Raw profile type exif\0\0compressed".to_vec();
    let added = [
        (*b"eXIf", exif(false)),
        (*b"iTXt", xmp),
        (*b"zTXt", profile),
    ];
    let added = added.map(|(kind, data)| provenance::png::chunk_of(kind, &data));
    let file = [&plain[..header], &added.concat(), &plain[header..]].concat();
    let stripped = without(&file, Format::Png).unwrap();
    assert!(!holds(&stripped, "LATITUDE") && !holds(&stripped, "Raw profile"));
    assert!(holds(&stripped, "kept"));
    assert_blank(&stripped);
    for chunk in provenance::png::chunks(&stripped) {
        let whole = &stripped[chunk.at..chunk.end()];
        assert_eq!(whole, provenance::png::chunk_of(chunk.kind, chunk.data));
    }
    assert_eq!(without(&plain, Format::Png), None);
}

#[test]
fn a_text_of_a_png_goes_by_its_keyword_alone() {
    let plain = picture(Format::Png);
    let header = 8 + 25;
    let with = |text: &[u8]| {
        let chunk = provenance::png::chunk_of(*b"tEXt", text);
        [&plain[..header], &chunk, &plain[header..]].concat()
    };
    let place = with(b"exif:GPSLatitude\0LATITUDE");
    assert_eq!(without(&place, Format::Png).unwrap(), plain);
    let other = with(b"Comment\0what :GPSLatitude means");
    assert_eq!(without(&other, Format::Png), None);
}

#[test]
fn a_webp_loses_its_place_and_nothing_moves() {
    let plain = picture(Format::Webp);
    let data = exif(true);
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    let file = [&plain, &b"EXIF"[..], &size, &data].concat();
    let stripped = without(&file, Format::Webp).unwrap();
    assert_eq!(stripped[..plain.len()], plain);
    assert!(!holds(&stripped, "LATITUDE") && holds(&stripped, "kept"));
}

fn atom(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(HEADER + data.len()).unwrap();
    [&size.to_be_bytes()[..], kind, data].concat()
}

const HEADER: usize = 8;

#[test]
fn a_video_loses_the_place_that_phones_write() {
    let xyz = atom(b"\xa9xyz", b"\0\x12\x15\xc7+10.7769+106.7009/");
    let key = |name: &str| atom(b"mdta", name.as_bytes());
    let keys = [
        &[0, 0, 0, 0, 0, 0, 0, 2][..],
        &key("com.apple.quicktime.make"),
        &key("com.apple.quicktime.location.ISO6709"),
    ];
    let items = [
        atom(&[0, 0, 0, 1], b"Apple"),
        atom(&[0, 0, 0, 2], b"+10.7769+106.7009/"),
    ];
    let meta = [
        atom(b"hdlr", b"mdta"),
        atom(b"keys", &keys.concat()),
        atom(b"ilst", &items.concat()),
    ];
    let moov = [atom(b"udta", &xyz), atom(b"meta", &meta.concat())].concat();
    let file = [
        atom(b"ftyp", b"isom"),
        atom(b"moov", &moov),
        atom(b"mdat", b"frames"),
    ];
    let file = file.concat();
    let stripped = without(&file, Format::Mp4).unwrap();
    assert_eq!(stripped.len(), file.len());
    assert!(!holds(&stripped, "10.7769"));
    assert!(holds(&stripped, "Apple") && holds(&stripped, "frames"));
    assert_eq!(without(&stripped, Format::Mp4), None);
}

proptest! {
    #[test]
    fn whatever_comes_is_read_to_its_end(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        offset in any::<u32>(),
        format in prop::sample::select(Format::ALL.to_vec()),
    ) {
        let mut hostile = exif(true);
        hostile[4..8].copy_from_slice(&offset.to_le_bytes());
        let file = [EXIF, &hostile, &bytes, b" a:GPS=\"", &bytes, b"Photoshop 3.0\x008BIM\x04\x04", &bytes].concat();
        let _ = without(&file, format);
        let _ = without(&bytes, format);
    }

    #[test]
    fn a_damaged_directory_harms_nothing_else(
        at in 0usize..90, value in any::<u8>(),
    ) {
        let mut damaged = exif(true);
        damaged[at] = value;
        let file = segment(&[EXIF, &damaged].concat());
        let _ = without(&file, Format::Jpg);
    }
}
