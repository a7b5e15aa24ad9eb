//! Compiles the protobuf contracts without a protoc install, keeps their comments for reflection, and lists their rpcs.

use std::{env, error::Error, fs, path::PathBuf};

use tonic_prost_build::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=third_party/proto");
    let served = compiler("proto/generation/v1")?;
    let descriptors = served.file_descriptor_set();
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("rpcs.rs"), rpcs(&descriptors))?;
    fs::write(
        out_dir.join("descriptors.bin"),
        served.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .codec_path("crate::rpc::codec::LeanCodec")
        .compile_fds(descriptors)?;
    // What others serve stands apart, so that reflection does not offer it.
    let served_elsewhere = compiler("proto/billing/v1")?.file_descriptor_set();
    tonic_prost_build::configure().compile_fds(served_elsewhere)?;
    Ok(())
}

/// Has read all contracts of a folder, with what they import.
fn compiler(folder: &str) -> Result<protox::Compiler, Box<dyn Error>> {
    let mut files = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    let mut compiler = protox::Compiler::new(["proto", "third_party/proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?;
    Ok(compiler)
}

/// An enum of every rpc of our own, so that what matches it has a word on each.
fn rpcs(descriptors: &FileDescriptorSet) -> String {
    let (mut names, mut paths, mut streams) = (String::new(), String::new(), Vec::new());
    for file in &descriptors.file {
        let package = file.package();
        for service in file.service.iter().filter(|_| package == "generation.v1") {
            for method in &service.method {
                let is_stream = method.server_streaming();
                let (service, method) = (service.name(), method.name());
                names += &format!("    {method},\n");
                if is_stream {
                    streams.push(format!("Self::{method}"));
                }
                paths +=
                    &format!("            \"/{package}.{service}/{method}\" => Self::{method},\n");
            }
        }
    }
    format!(
        "/// Every rpc.\n#[derive(Clone, Copy, Debug, PartialEq, Eq)]\npub(super) enum Rpc {{\n{names}}}\n\n\
         impl Rpc {{\n    /// The one that calls to this path ask for.\n    \
         pub(super) fn from_path(path: &str) -> Option<Self> {{\n        Some(match path {{\n{paths}            \
         _ => return None,\n        }})\n    }}\n\n    \
         /// Whether it is answered by any number of messages.\n    \
         pub(super) fn streams(self) -> bool {{\n        matches!(self, {})\n    }}\n}}\n",
        streams.join(" | ")
    )
}
