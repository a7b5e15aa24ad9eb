use std::process::ExitCode;

fn main() -> ExitCode {
    atelier::cli::run()
}
