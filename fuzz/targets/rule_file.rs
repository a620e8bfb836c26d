//! Rule files: a rule, or an error that names the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trailhound::detect::rule::Rule;

fuzz_target!(init: trailhound_fuzz::quiet(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Rule::read("rules/family/some_rule.toml", text, true) {
        Ok(rule) => {
            assert_eq!(rule.id, "some_rule");
            // Binding parameters may fail, but must not stop the process.
            let _ = rule.bound_sql();
        }
        Err(error) => assert!(error.to_string().contains("some_rule.toml"), "{error}"),
    }
});
