//! `rettidig key` through the binary: what an operator does to the file with the key of the pseudonyms.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts `rettidig key ACTION FILE` and gives it its numbers.
fn begun(action: &str, file: &Path, numbers: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rettidig"));
    command.args(["key", action]).arg(file);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    child.stdin.take().expect("piped").write_all(numbers.as_bytes()).expect("stdin");
    child
}

/// Whether it succeeded, and all that it said.
fn ended(child: Child) -> (bool, String) {
    let output = child.wait_with_output().expect("an end");
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&told).into_owned())
}

fn key(action: &str, file: &Path, numbers: &str) -> (bool, String) {
    ended(begun(action, file, numbers))
}

#[test]
fn several_who_erase_at_once_all_do() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("pseudonym.key");
    let (done, told) = key("new", &file, "");
    assert!(done, "{told}");
    // Numbers of nobody: the day has its test offset.
    let numbers: Vec<String> = (0..8).map(|place| format!("610170123{place}\n")).collect();
    let all: Vec<Child> = numbers.iter().map(|number| begun("erase", &file, number)).collect();
    for child in all {
        let (done, told) = ended(child);
        assert!(done && told.starts_with("1 erased, 0 were before"), "{told}");
    }
    let (done, told) = key("erase", &file, &numbers.concat());
    assert!(done && told.starts_with("0 erased, 8 were before; 8 in all"), "{told}");
}

#[test]
fn the_file_keeps_its_rights_and_its_name_and_what_it_was_is_no_key() {
    let folder = tempfile::tempdir().expect("folder");
    let (file, link, old) =
        (folder.path().join("real.key"), folder.path().join("named.key"), folder.path().join("old.key"));
    let (done, told) = key("new", &file, "");
    assert!(done, "{told}");
    let mode = |file: &Path| std::fs::metadata(file).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let first = std::fs::read(&file).expect("a key");
    let (done, told) = key("new", &file, "");
    assert!(!done && told.contains("is there already"), "{told}");
    assert_eq!(std::fs::read(&file).expect("a key"), first, "a key is never written over");

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("rights");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    std::fs::hard_link(&file, &old).expect("another name");
    let left = folder.path().join("real.key.new");
    std::fs::write(&left, "left behind").expect("a file");
    let (done, told) = key("erase", &link, "6101701234\n");
    assert!(done && told.starts_with("1 erased"), "{told}");
    assert!(link.is_symlink() && !left.exists());
    assert_eq!(mode(&file), 0o640);
    assert!(std::fs::read_to_string(&file).expect("a key").contains("\nerased 1\n"));
    // Who still has the old file by another name has zeros, which are no key.
    assert_eq!(std::fs::read(&old).expect("a file"), vec![0; first.len()]);
    let (done, told) = key("erase", &old, "6101701234\n");
    assert!(!done && told.contains("one byte again and again"), "{told}");
}
