//! Every library that the program is built from has a licence that goes with ours.

use std::process::Command;

/// Licences that ask for no more than that their text is passed on.
const FINE: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "BSL-1.0",
];

#[test]
fn licences_go_with_ours() {
    // Only this platform's libraries are on this machine.
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut breaches = Vec::new();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "these are not all packages");
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_fine(licence) {
            breaches.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// An SPDX expression of `OR` and `AND` (`/` is an old way to write `OR`), of which one alternative is fine.
fn is_fine(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    // Without parentheses an expression is judged more strictly than it is meant, never more laxly, as long as each
    // alternative is looked at by itself.
    flat.split(" OR ").any(|alternative| alternative.split(" AND ").all(|licence| FINE.contains(&licence.trim())))
}

#[test]
fn an_alternative_is_enough_and_a_demand_is_not_overlooked() {
    assert!(is_fine("MIT OR GPL-3.0"));
    assert!(is_fine("Apache-2.0/MIT"));
    assert!(!is_fine("GPL-3.0"));
    assert!(!is_fine("MIT AND GPL-3.0"));
}
