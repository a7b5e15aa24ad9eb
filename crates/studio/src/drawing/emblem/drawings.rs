//! The illustrations themselves, in a square from -1 to 1.

use std::f32::consts::TAU;

use super::super::path;
use super::{Inks, Pen};

pub(super) fn cup(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    for x in [-0.36, -0.08, 0.2] {
        pen.line(&format!("M{x} -.38c-.14 -.14 .14 -.24 0 -.42"), 0.07, light);
    }
    pen.line("M.38 -.06h.14a.24 .24 0 0 1 0 .48h-.2", 0.12, body);
    pen.fill(
        "M-.62 -.22H.46V.12A.46 .46 0 0 1 0 .58H-.16A.46 .46 0 0 1 -.62 .12Z",
        body,
    );
    pen.fill("M-.62 -.22H.46V-.08Q-.08 .1 -.62 -.08Z", second);
    pen.fill("M-.08 .36C-.4 .14 -.32 -.02 -.2 -.02Q-.1 -.02 -.08 .08Q-.06 -.02 .04 -.02C.16 -.02 .24 .14 -.08 .36Z", light);
    pen.block(-0.72, 0.64, 1.3, 0.1, 0.05, line);
}

pub(super) fn gift(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    pen.block(-0.56, -0.08, 1.12, 0.78, 0.05, body);
    pen.block(-0.66, -0.32, 1.32, 0.28, 0.05, line);
    pen.block(-0.11, -0.32, 0.22, 1.02, 0.0, second);
    pen.line("M0 -.34C-.5 -.3 -.52 -.76 -.26 -.74C-.08 -.72 0 -.5 0 -.34C0 -.5 .08 -.72 .26 -.74C.52 -.76 .5 -.3 0 -.34Z", 0.11, second);
    pen.scene.circle(0.0, -0.34, 0.09, light, 1.0);
}

pub(super) fn cake(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    for x in [-0.3, 0.0, 0.3] {
        pen.block(x - 0.045, -0.52, 0.09, 0.3, 0.02, second);
        pen.fill(&format!("M{x} -.8q.13 .16 0 .24q-.13 -.08 0 -.24Z"), light);
    }
    pen.block(-0.46, -0.24, 0.92, 0.44, 0.08, second);
    pen.fill("M-.46 -.16a.08 .08 0 0 1 .08 -.08H.38a.08 .08 0 0 1 .08 .08V-.02q-.1 .16 -.23 0q-.12 .18 -.23 0q-.12 .18 -.23 0q-.12 .16 -.23 0Z", light);
    pen.block(-0.66, 0.16, 1.32, 0.46, 0.08, body);
    for x in [-0.44, -0.22, 0.0, 0.22, 0.44] {
        pen.scene.circle(x, 0.36, 0.06, light, 1.0);
    }
    pen.block(-0.78, 0.62, 1.56, 0.1, 0.05, line);
}

pub(super) fn heart(mut pen: Pen<'_>) {
    let Inks {
        body,
        second,
        light,
        ..
    } = pen.inks;
    let path = "M0 .72C-.98 .06 -.8 -.6 -.4 -.6Q-.1 -.6 0 -.3Q.1 -.6 .4 -.6C.8 -.6 .98 .06 0 .72Z";
    pen.fill(path, body);
    pen.line("M-.5 -.1q-.04 -.26 .16 -.3", 0.1, light);
    pen.scene.placed(0.56, -0.5, 18.0, 0.34, |scene| {
        scene.fill(path, second, 1.0);
    });
}

pub(super) fn book(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    pen.fill(
        "M-.78 -.36Q-.4 -.54 0 -.3Q.4 -.54 .78 -.36V.52Q.4 .36 0 .6Q-.4 .36 -.78 .52Z",
        body,
    );
    pen.fill("M-.68 -.42Q-.34 -.56 0 -.34V.48Q-.34 .28 -.68 .4Z", light);
    pen.fill("M.68 -.42Q.34 -.56 0 -.34V.48Q.34 .28 .68 .4Z", light);
    for row in 0..3 {
        let y = -0.2 + 0.18 * row as f32;
        pen.line(&format!("M-.54 {y}q.2 -.06 .4 .06"), 0.06, second);
        pen.line(&format!("M.54 {y}q-.2 -.06 -.4 .06"), 0.06, second);
    }
    pen.line("M0 -.34V.5", 0.05, line);
}

pub(super) fn music(mut pen: Pen<'_>) {
    let Inks {
        body,
        second,
        light,
        ..
    } = pen.inks;
    pen.line("M-.3 .42V-.52L.5 -.68V.26", 0.11, body);
    pen.line("M-.3 -.3L.5 -.46", 0.16, body);
    pen.scene.circle(-0.46, 0.46, 0.22, body, 1.0);
    pen.scene.circle(0.34, 0.3, 0.22, body, 1.0);
    pen.fill(&path::star(-0.62, -0.4, 0.17, 0.06, 4, 0.0), second);
    pen.fill(&path::star(0.7, 0.6, 0.15, 0.05, 4, 0.0), light);
}

pub(super) fn leaf(mut pen: Pen<'_>) {
    let Inks {
        line, body, second, ..
    } = pen.inks;
    pen.fill(
        "M-.56 .56C-.8 -.3 -.1 -.72 .68 -.68C.72 .1 .3 .8 -.56 .56Z",
        body,
    );
    pen.fill(
        "M-.56 .56C-.1 .2 .3 -.2 .68 -.68C.72 .1 .3 .8 -.56 .56Z",
        second,
    );
    pen.line("M-.76 .76L.3 -.3", 0.07, line);
    pen.line(
        "M-.2 .2H.16M.04 -.04H.36M-.2 .2V-.14M.04 -.04V-.34",
        0.05,
        line,
    );
}

pub(super) fn bowl(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    pen.line("M.1 -.06L.62 -.86M.28 -.04L.8 -.76", 0.06, line);
    for x in [-0.4, -0.14] {
        pen.line(&format!("M{x} -.3c-.12 -.12 .12 -.22 0 -.4"), 0.06, light);
    }
    pen.fill(
        "M-.66 -.02Q-.5 -.26 -.26 -.16Q-.06 -.34 .14 -.16Q.44 -.28 .66 -.02Z",
        second,
    );
    pen.fill(
        "M-.78 -.02H.78Q.74 .46 .34 .6H-.34Q-.74 .46 -.78 -.02Z",
        body,
    );
    pen.line("M-.56 .18Q0 .34 .56 .18", 0.07, light);
    pen.block(-0.34, 0.6, 0.68, 0.12, 0.04, line);
}

pub(super) fn blossom(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    for petal in 0..5 {
        pen.scene
            .placed(0.0, 0.0, 72.0 * petal as f32, 1.0, |scene| {
                scene.fill(
                    "M0 0C-.44 -.22 -.36 -.76 -.08 -.78L0 -.7L.08 -.78C.36 -.76 .44 -.22 0 0Z",
                    body,
                    1.0,
                );
                scene.fill(
                    "M0 0C-.16 -.16 -.12 -.44 0 -.46C.12 -.44 .16 -.16 0 0Z",
                    second,
                    1.0,
                );
            });
    }
    for stamen in 0..5 {
        let angle = TAU * (stamen as f32 + 0.25) / 5.0;
        let (x, y) = (0.26 * angle.cos(), 0.26 * angle.sin());
        pen.line(&format!("M0 0L{x:.3} {y:.3}"), 0.035, line);
        pen.scene.circle(x, y, 0.06, light, 1.0);
    }
    pen.scene.circle(0.0, 0.0, 0.11, light, 1.0);
}

pub(super) fn lantern(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    pen.line("M0 -.9V-.6M0 .46V.86M-.1 .5V.76M.1 .5V.76", 0.05, line);
    pen.fill(
        "M-.3 -.5H.3C.86 -.3 .86 .2 .3 .4H-.3C-.86 .2 -.86 -.3 -.3 -.5Z",
        body,
    );
    pen.line(
        "M-.12 -.5C-.4 -.3 -.4 .2 -.12 .4M.12 -.5C.4 -.3 .4 .2 .12 .4",
        0.05,
        second,
    );
    pen.block(-0.34, -0.62, 0.68, 0.14, 0.04, light);
    pen.block(-0.34, 0.36, 0.68, 0.14, 0.04, light);
}

pub(super) fn snowflake(pen: Pen<'_>) {
    let Inks { body, light, .. } = pen.inks;
    for arm in 0..6 {
        pen.scene.placed(0.0, 0.0, 60.0 * arm as f32, 1.0, |scene| {
            scene.stroke(
                "M0 0V-.8M0 -.5L-.18 -.68M0 -.5L.18 -.68M0 -.28L-.14 -.42M0 -.28L.14 -.42",
                body,
                0.08,
                1.0,
            );
        });
    }
    pen.scene.circle(0.0, 0.0, 0.12, light, 1.0);
}

pub(super) fn megaphone(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    pen.line("M-.3 .2L-.16 .66", 0.16, line);
    pen.fill(
        "M-.66 -.2H-.3V.24H-.66A.1 .1 0 0 1 -.76 .14V-.1A.1 .1 0 0 1 -.66 -.2Z",
        second,
    );
    pen.fill("M-.34 -.2L.4 -.6V.64L-.34 .24Z", body);
    pen.block(0.36, -0.66, 0.12, 1.36, 0.06, line);
    pen.line(
        "M.62 -.2Q.74 .02 .62 .24M.74 -.38Q.96 .02 .74 .42",
        0.07,
        light,
    );
}

pub(super) fn bag(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    pen.line("M-.26 -.26V-.46A.26 .26 0 0 1 .26 -.46V-.26", 0.09, line);
    pen.fill(
        "M-.58 -.3H.58L.68 .66A.08 .08 0 0 1 .6 .74H-.6A.08 .08 0 0 1 -.68 .66Z",
        body,
    );
    pen.fill(
        "M-.64 .34H.65L.68 .66A.08 .08 0 0 1 .6 .74H-.6A.08 .08 0 0 1 -.68 .66Z",
        second,
    );
    pen.line("M-.22 -.06A.22 .24 0 0 0 .22 -.06", 0.08, light);
}

pub(super) fn plane(mut pen: Pen<'_>) {
    let Inks {
        line,
        body,
        second,
        light,
    } = pen.inks;
    pen.fill("M-.8 .06L.8 -.66L.36 .62L-.08 .3Z", body);
    pen.fill("M.8 -.66L-.08 .3L-.1 .72L.12 .44Z", second);
    pen.fill("M.8 -.66L-.36 .18L-.1 .72Z", line);
    pen.line("M-.8 .56q.14 .1 .3 -.02M-.86 .34q.1 .06 .2 0", 0.05, light);
}

pub(super) fn star(mut pen: Pen<'_>) {
    let Inks {
        body,
        second,
        light,
        ..
    } = pen.inks;
    let up = -TAU / 4.0;
    pen.fill(&path::star(0.0, 0.04, 0.78, 0.36, 5, up), body);
    pen.fill(&path::star(0.0, 0.04, 0.46, 0.21, 5, up), second);
    pen.fill(&path::star(0.68, -0.58, 0.18, 0.06, 4, 0.0), light);
    pen.fill(&path::star(-0.7, 0.5, 0.14, 0.05, 4, 0.0), light);
}
