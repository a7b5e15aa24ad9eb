//! A picture of the user's own in the layouts: behind the words, under a veil that keeps them readable, or in the place of the
//! art.

use std::sync::Arc;

use image::RgbaImage;

use super::super::colour::Colour;
use super::super::geometry::Area;
use super::super::palette::{Ground, Mood};
use super::super::part::Part;
use super::super::photo::{Fit, Photo, is_cut_out};
use super::super::style::{Layout, PictureUse, Style};
use super::super::{Brief, DrawError};
use super::Studio;

/// The thinnest veil: even words that could do without stand out from a picture better.
const LEAST_VEIL: f32 = 0.3;
const VEIL_STEP: f32 = 0.025;

/// A picture behind words.
pub(super) struct Backcloth {
    photo: Photo,
    /// The colour of the veil is this ground's, and how much is seen of it.
    veil: (Ground, f32),
    /// What stands on the veil.
    pub(super) ground: Ground,
}

/// What the brief's picture is in a layout, if there is one.
pub(super) fn use_of(
    brief: &Brief,
    style: &Style,
    layout: Layout,
) -> Option<(Arc<RgbaImage>, PictureUse)> {
    let picture = brief.picture.clone()?;
    let usual = match layout {
        Layout::Poster | Layout::Banner | Layout::Split => PictureUse::Product,
        Layout::Centered if is_cut_out(&picture) => PictureUse::Product,
        _ => PictureUse::Background,
    };
    match (style.picture.unwrap_or(usual), layout) {
        (PictureUse::None, _) => None,
        // There is no place for anything beside the words.
        (_, Layout::Announcement | Layout::Quote | Layout::Billboard) => {
            Some((picture, PictureUse::Background))
        }
        (used, _) => Some((picture, used)),
    }
}

impl Studio {
    fn picture_as(&self, used: PictureUse) -> Option<Arc<RgbaImage>> {
        let picture = self.picture.as_ref().filter(|(_, its)| *its == used);
        picture.map(|(picture, _)| picture.clone())
    }

    /// Whether there is a picture for the place of the art.
    pub(super) fn has_product(&self) -> bool {
        self.picture_as(PictureUse::Product).is_some()
    }

    /// The picture behind all words, if it is to be there. The mood is the style's, else the one that needs less of a veil.
    pub(super) fn backcloth(&self) -> Option<Backcloth> {
        let picture = self.picture_as(PictureUse::Background)?;
        let photo = Photo::fitted(&picture, self.canvas, Fit::Cover, 0.0);
        let mood = self.mood.unwrap_or(match photo.lightness() > 0.4 {
            true => Mood::Light,
            false => Mood::Dark,
        });
        let veil = self.ground(mood);
        let (low, high) = photo.range([veil.from, veil.to]);
        let veils = (0..).map(|step| LEAST_VEIL + VEIL_STEP * step as f32);
        let (ground, share) = veils
            .take_while(|share| *share < 1.0)
            .find_map(|share| {
                let (from, to) = (low.mix(veil.from, share), high.mix(veil.from, share));
                veil.over(from, to).map(|ground| (ground, share))
            })
            .unwrap_or_else(|| (veil.clone(), 1.0));
        Some(Backcloth {
            photo,
            veil: (veil, share),
            ground,
        })
    }

    /// Hangs the picture up, with the veil over the part where words stand.
    pub(super) fn hang(&mut self, backcloth: Backcloth, words: Area) {
        let (veil, share) = backcloth.veil;
        self.full(&veil);
        self.scene.photo(Part::Motif, backcloth.photo);
        self.scene.rect(words, 0.0, veil.from, share);
    }

    /// The picture over the whole canvas, without a veil. False if there is none.
    pub(super) fn fill_with_picture(&mut self, ground: &Ground) -> bool {
        let Some((picture, _)) = self.picture.clone() else {
            return false;
        };
        self.full(ground);
        let photo = Photo::fitted(&picture, self.canvas, Fit::Cover, 0.0);
        self.scene.photo(Part::Motif, photo);
        true
    }

    /// The picture in the place of the art; one that is cut out stands on the ground that is there. False if there is none.
    pub(super) fn show_product(&mut self, art: Area, clear: Area) -> bool {
        let Some(picture) = self.picture_as(PictureUse::Product) else {
            return false;
        };
        let (part, photo) = match is_cut_out(&picture) {
            true => {
                let inset = clear.short() * 0.07;
                let place = clear.inset(inset, inset);
                (
                    Part::Medallion,
                    Photo::fitted(&picture, place, Fit::Contain, 0.0),
                )
            }
            false => (Part::Motif, Photo::fitted(&picture, art, Fit::Cover, 0.0)),
        };
        self.scene.photo(part, photo);
        true
    }

    /// The picture in the place of the illustration: on a disc, or as it is cut out.
    pub(super) fn show_on_disc(&mut self, (x, y): (f32, f32), r: f32, under: &Ground) {
        let Some(picture) = self.picture_as(PictureUse::Product) else {
            return;
        };
        let square = |r: f32| Area::new(x - r, y - r, r * 2.0, r * 2.0);
        if is_cut_out(&picture) {
            let photo = Photo::fitted(&picture, square(r), Fit::Contain, 0.0);
            return self.scene.photo(Part::Medallion, photo);
        }
        let rim = self.medallion_ground(under).from;
        let canvas = self.canvas;
        self.scene.part(Part::Medallion, canvas, |scene| {
            scene.circle(x, y, r * 1.06, rim, 1.0);
        });
        let photo = Photo::fitted(&picture, square(r), Fit::Cover, r);
        self.scene.photo(Part::Medallion, photo);
    }

    /// The seal in the lower right of a picture, where it hides least.
    pub(super) fn seal_on_picture(&mut self, area: Area, ground: &Ground) -> Result<(), DrawError> {
        let r = area.short() * 0.2;
        let edge = r * 1.3;
        // A picture may have any colour.
        let under = [ground.from, Colour::WHITE, Colour::INK];
        self.seal((area.right() - edge, area.bottom() - edge), r, &under)
    }
}
