//! The samples in deploy/ name arguments that the program has, and policies that are JSON.

mod support;

use std::path::Path;

use serde_json::Value;

fn sample(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)).unwrap()
}

#[test]
fn arguments_in_samples_are_real() {
    let help = support::run(&["follow", "--help"]);
    assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
    let help = String::from_utf8(help.stdout).unwrap();
    let known: Vec<&str> = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    let mut checked = 0;
    for name in ["trailhound-follow.service", "Containerfile", "README.md"] {
        for line in sample(name).lines() {
            let after = line.split_once("trailhound follow ").or_else(|| line.split_once("OPTIONS="));
            let Some((_, arguments)) = after else { continue };
            for flag in arguments.split([' ', '`', '=']).filter(|word| word.starts_with("--")) {
                assert!(
                    known.contains(&flag),
                    "deploy/{name} has {flag}, which `trailhound follow --help` does not know"
                );
                checked += 1;
            }
        }
    }
    assert!(checked >= 8, "only {checked} arguments found in the samples");
}

#[test]
fn policies_are_json_and_allow_no_action_by_wildcard() {
    let text = sample("README.md");
    let blocks: Vec<&str> = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3, "{} policies", blocks.len());
    for block in blocks {
        let policy: Value = serde_json::from_str(block).unwrap_or_else(|error| panic!("{error} in {block}"));
        for statement in policy["Statement"].as_array().unwrap() {
            let actions = statement["Action"].to_string();
            assert!(actions.contains(':') && !actions.contains('*'), "{actions}");
            let resource = statement["Resource"].as_str().unwrap();
            assert!(resource.starts_with("arn:aws:"), "{resource}");
        }
    }
}
