//! Where a program is installed, as far as it needs that to run: itself, its libraries, and what runs it if it is a script.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use super::find;

/// What programs read beside the folder `bin` that they lie in. Not `share`, which in a home is people's data.
const PARTS: [&str; 5] = ["bin", "lib", "lib64", "libexec", "pyvenv.cfg"];
/// A script is run by a program that may be a script.
const MAX_SCRIPTS: usize = 4;
/// Longest first line of a script that Linux reads.
const MAX_LINE_BYTES: u64 = 256;

/// Files and folders of the program's installation; some may not exist.
pub(super) fn of(program: &Path, path: &OsStr) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut next = Some(program.to_owned());
    for _ in 0..=MAX_SCRIPTS {
        let Some(file) = next else { break };
        // An environment of Python links to the Python that it was made with.
        let target = fs::canonicalize(&file).ok();
        for file in [Some(&file), target.as_ref()].into_iter().flatten() {
            found.push(file.clone());
            found.extend(beside(file));
        }
        next = interpreter(&file, path);
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn beside(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().filter(|folder| folder.ends_with("bin"));
    let prefix = folder.and_then(Path::parent);
    let parts = |prefix: &Path| PARTS.map(|part| prefix.join(part)).to_vec();
    prefix.map(parts).unwrap_or_default()
}

/// The program that the first line of a script names, found as `env` would find it.
fn interpreter(script: &Path, path: &OsStr) -> Option<PathBuf> {
    let mut head = Vec::new();
    let file = File::open(script).ok()?;
    file.take(MAX_LINE_BYTES).read_to_end(&mut head).ok()?;
    let line = head
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next();
    let line = String::from_utf8_lossy(line?);
    let mut words = line.split_whitespace();
    let program = Path::new(words.next()?);
    if !program.ends_with("env") {
        return Some(program.to_owned());
    }
    let named = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    find(named, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_script_of_an_environment_needs_the_environment_and_what_it_was_made_with() {
        let (base, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&base, &made] {
            fs::create_dir(folder.path().join("bin")).unwrap();
        }
        let base = base.path().canonicalize().unwrap();
        let python = base.join("bin/python3.13");
        fs::write(&python, "\x7fELF").unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o700)).unwrap();
        let bin = made.path().join("bin");
        symlink(&python, bin.join("python")).unwrap();
        let script = bin.join("speak");
        let of_env = "#!/usr/bin/env -S A=b python -u\n".to_owned();
        let direct = format!("#!{}/python -u\n", bin.display());
        for first in [of_env, direct] {
            fs::write(&script, first).unwrap();
            let found = of(&script, bin.as_os_str());
            for part in ["bin/speak", "bin", "lib", "pyvenv.cfg"] {
                assert!(found.contains(&made.path().join(part)), "{part}: {found:?}");
            }
            assert!(
                found.contains(&python) && found.contains(&base.join("lib")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_program_in_no_bin_needs_only_itself_and_a_script_of_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().canonicalize().unwrap().join("studio");
        fs::write(&script, format!("#!{}\n", script.display())).unwrap();
        assert_eq!(of(&script, OsStr::new("")), [script]);
    }
}
