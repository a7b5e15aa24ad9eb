//! Hashing a small copy, as the server does, against hashing every pixel of a 1080p picture.

use std::hint::black_box;

use atelier::media::preview::{blurhash, small_copy};
use criterion::{Criterion, criterion_group, criterion_main};
use image::{DynamicImage, Rgb, RgbImage};

fn hash_1080p(criterion: &mut Criterion) {
    let pixels = RgbImage::from_fn(1920, 1080, |x, y| {
        Rgb([(x / 8) as u8, (y / 5) as u8, (x ^ y) as u8])
    });
    let picture = DynamicImage::ImageRgb8(pixels.clone());
    let mut group = criterion.benchmark_group("blurhash of 1920x1080");
    group.sample_size(20);
    group.bench_function("small copy", |bencher| {
        bencher.iter(|| blurhash(&small_copy(black_box(&picture))));
    });
    group.bench_function("full picture", |bencher| {
        bencher.iter(|| blurhash(black_box(&pixels)));
    });
    group.finish();
}

criterion_group!(benches, hash_1080p);
criterion_main!(benches);
