//! The program: all that it does is in [`atelier::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The system's allocator keeps freed pictures in the arena of each thread: of a 4K video it held twice what was in use.
/// It takes the place of `malloc` too, for the codecs that are written in C.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    atelier::cli::run()
}
