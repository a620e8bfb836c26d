//! Sigma rules become rules that find what the Sigma rules mean, or a reason; hostile files do no harm.

#[path = "sigma/cases.rs"]
mod cases;
mod support;

use std::time::{Duration, Instant};

use cases::{CASES, CHAINS, LOGINS, REFUSALS, WRONG, events};
use trailhound::detect::lint::Linter;
use trailhound::detect::sigma::{self, Import, Source};
use trailhound::detect::{Rule, selftest};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(future)
}

fn import(yaml: &str) -> Import {
    sigma::import(&[Source { name: "folder/a_rule.yml".into(), text: yaml.into() }])
}

/// A Sigma rule about CloudTrail with this detection.
fn cloudtrail(detection: &str) -> String {
    format!("title: T\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n{detection}\n")
}

/// The rule file with further tests: lists of events that fire, and that do not.
fn with_tests(id: &str, text: &str, fires: &[String], quiet: &[String]) -> Rule {
    let mut text = text.to_owned();
    for (lists, fires) in [(fires, true), (quiet, false)] {
        for (number, list) in lists.iter().enumerate() {
            text.push_str(&format!("\n[[test]]\nname = \"{fires} {number}\"\nfires = {fires}\nevents = {list}\n"));
        }
    }
    Rule::read(&format!("sigma/{id}.toml"), &text, true).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Checks that rules fit the tables and that all their tests hold.
fn assert_sound(rules: &[Rule]) {
    block_on(async {
        let linter = Linter::new().await.expect("a linter");
        for rule in rules {
            let notes = linter.check(rule).await;
            assert!(notes.errors.is_empty(), "{} ({}): {:?}\n{}", rule.id, rule.title, notes.errors, rule.sql);
        }
        for outcome in selftest::run(rules, 2).await.expect("tests run") {
            let rule = rules.iter().find(|rule| rule.id == outcome.rule_id).expect("the rule");
            assert!(outcome.problem.is_none(), "{}: {outcome}\n{}", rule.title, rule.sql);
        }
    });
}

#[test]
fn detections_match_what_they_mean() {
    let mut rules = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let yaml = format!(
            "title: {}\nlogsource: {{product: aws, service: {}}}\ndetection:\n{}\n",
            case.name, case.log, case.detection
        );
        let import = import(&yaml);
        assert!(import.refused.is_empty(), "{}: {:?}", case.name, import.refused);
        let list = |event: &&str| match event.is_empty() {
            true => format!("[{{ log = \"{}\" }}]", case.log),
            false => format!("[{{ log = \"{}\", {event} }}]", case.log),
        };
        let fires: Vec<String> = case.fires.iter().map(list).collect();
        let quiet: Vec<String> = case.quiet.iter().map(list).collect();
        rules.push(with_tests(&format!("case_{number}"), &import.rules[0].text, &fires, &quiet));
    }
    assert_sound(&rules);
}

#[test]
fn correlations_match_what_they_mean() {
    let mut rules = Vec::new();
    for (number, chain) in CHAINS.iter().enumerate() {
        let import = import(&format!("{}\n{LOGINS}", chain.yaml));
        assert!(import.refused.is_empty(), "{}: {:?}", chain.name, import.refused);
        let rule = import.rules.iter().find(|rule| rule.title == "C").expect("the correlation");
        let lists = |lists: &[&str]| lists.iter().map(|list| events(list)).collect::<Vec<_>>();
        let id = format!("chain_{number}");
        rules.push(with_tests(&id, &rule.text, &lists(chain.fires), &lists(chain.quiet)));
    }
    assert_sound(&rules);
}

#[test]
fn only_fresh_events_complete_a_correlation() {
    let import = import(&format!("{}\n{LOGINS}", CHAINS[0].yaml));
    let text = format!(
        "{}\n[[test]]\nname = \"history and one\"\nfires = true\nfresh_from = \"+2s\"\nevents = {}\n{}\n",
        import.rules[0].text,
        events("F(repeat = 3)"),
        format_args!(
            "[[test]]\nname = \"all history\"\nfires = false\nfresh_from = \"+1m\"\nevents = {}",
            events(r#"F(repeat = 3), F(at = "+10m")"#)
        )
    );
    assert_sound(&[Rule::read("sigma/fresh.toml", &text, true).expect("sound")]);
}

#[test]
fn refusals_say_why() {
    for (yaml, part) in REFUSALS {
        let import = import(yaml);
        assert!(import.rules.is_empty(), "{yaml}");
        assert!(import.refused.iter().any(|refused| refused.reason.contains(part)), "{yaml}: {:?}", import.refused);
    }
    for (detection, part) in WRONG {
        let import = import(&cloudtrail(detection));
        assert!(import.rules.is_empty(), "{detection}");
        assert!(import.refused[0].reason.contains(part), "{detection}: {:?}", import.refused);
    }
    let place =
        import("title: T\nlogsource: {service: cloudtrail}\ndetection:\n  s:\n    userAgent|nope: x\n  condition: s");
    assert_eq!(place.refused[0].line, 5);
}

#[test]
fn what_a_rule_says_about_itself_is_kept() {
    let yaml = "title: A \"quoted\" title\nid: 6ff5cda8-0b40-4d33-8ad5-6c6a4d8e0002\nstatus: stable\nlevel: high\n\
        description: |\n  Two\n  lines\nauthor: Dana \u{1F600}\nlicense: MIT\ndate: 2026-01-02\n\
        references: [https://example.com/a, http://example.com/b]\ntags: [attack.t1562.008, attack.stealth, atlas.aml.t0040]\n\
        falsepositives: [deployments]\nlogsource: {product: aws, service: cloudtrail}\n\
        detection: {s: {eventName: StopLogging, eventSource: cloudtrail.amazonaws.com}, condition: s}\n";
    let import = import(yaml);
    let imported = &import.rules[0];
    assert_eq!(imported.id, "sigma_a_rule");
    let comments: String = imported.text.lines().filter(|line| line.starts_with('#')).collect();
    for told in ["6ff5cda8-0b40-4d33-8ad5-6c6a4d8e0002", "Dana", "MIT", "a_rule.yml", "http://example.com/b"] {
        assert!(comments.contains(told), "{told}");
    }
    let rule = with_tests(&imported.id, &imported.text, &[], &[]);
    assert_eq!(rule.title, "A \"quoted\" title");
    assert_eq!((rule.severity.as_str(), rule.confidence.as_str(), rule.kind.as_str()), ("high", "high", "threat"));
    assert_eq!((rule.attack.join(" "), rule.atlas.join(" ")), ("T1562.008".to_owned(), "AML.T0040".to_owned()));
    assert_eq!(
        (rule.references.join(" "), rule.false_positives.join(" ")),
        ("https://example.com/a".to_owned(), "deployments".to_owned())
    );
    assert!(rule.why.contains("Two\nlines") && rule.why.contains("by Dana"));
    // Events are found by the names that AWS writes in one case only.
    assert!(
        rule.sql.contains("eventName = 'StopLogging'") && rule.sql.contains("eventSource = 'cloudtrail.amazonaws.com'")
    );
    assert_sound(&[rule]);
}

#[test]
fn parts_of_correlations_stand_alone_only_when_asked() {
    let quiet = import(&format!("{}\n{LOGINS}", CHAINS[0].yaml));
    assert_eq!((quiet.rules.len(), quiet.parts), (4, 1));
    let yaml = CHAINS[0].yaml.replace("timespan: 5m", "timespan: 5m, generate: true");
    let both = import(&format!("{yaml}\n{LOGINS}"));
    assert_eq!((both.rules.len(), both.parts), (5, 0));
}

#[test]
fn text_of_a_rule_cannot_leave_its_place() {
    let yaml = "title: \"x\\n'''\\\"\\\"\\\"\\nsql = 'y'\"\nid: \"1\\nseverity = 'low'\"\nauthor: \"a\\u202Eb\"\ndescription: \"'''\\nentity = []\\u001b[31m\"\n\
        logsource: {product: aws, service: cloudtrail}\n\
        detection: {s: {\"requestParameters.a'); DROP TABLE x; --\": \"'; DROP TABLE x; --'''\"}, condition: s}\n";
    let import = import(yaml);
    let text = &import.rules[0].text;
    assert!(!text.contains(['\u{1b}', '\u{202e}']));
    let rule = with_tests("hostile", text, &[], &[]);
    assert_eq!((rule.severity.as_str(), rule.entity.len()), ("medium", 2));
    assert_sound(&[rule]);
}

#[test]
fn hostile_yaml_is_refused_in_no_time() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    let mut riddle = String::new();
    for number in 0..40 {
        riddle.push_str(&format!("  s{number}: {{userAgent|contains: [a{number}, b{number}, c{number}]}}\n"));
    }
    riddle.push_str("  y: {awsRegion: q}\n  z: {awsRegion: x}\n  condition: ");
    riddle.extend((0..40).map(|number| format!("s{number} and (")));
    riddle.push_str(&format!("y and z{}", ")".repeat(40)));
    let levels = (0..5).map(|level| {
        let rules = vec![format!("c{}", level + 1); 16].join(", ");
        format!("title: c{level}\ncorrelation: {{type: temporal, timespan: 5m, rules: [{rules}]}}\n---\n")
    });
    let many: Vec<String> = (0..1_000).map(|number| format!("v{number}")).collect();
    let files = [
        bomb,
        "a: &a [*a]".into(),
        "[".repeat(1 << 20),
        "{a: ".repeat(300_000),
        "- ".repeat(1 << 20),
        "? ".repeat(500_000),
        format!("title: {}", "x".repeat(10 << 20)),
        (0..40_000).map(|number| format!("k{number}: v\n")).collect(),
        "\"".repeat(1 << 20),
        "title: \0".into(),
        cloudtrail(&format!("  s: {{userAgent: x}}\n  condition: {}s{}", "(".repeat(900), ")".repeat(900))),
        cloudtrail(&format!("  s: {{userAgent: x}}\n  condition: {}s", "not ".repeat(1_900))),
        cloudtrail(&format!("  s: {{userAgent: [{}]}}\n  condition: {}s", many.join(", "), "s or ".repeat(900))),
        cloudtrail(&format!("  s: {{userAgent: '{}'}}\n  condition: s", "*a".repeat(20_000))),
        cloudtrail(&format!("  s: {{userAgent|re: '{}a{}'}}\n  condition: s", "(".repeat(1_500), ")".repeat(1_500))),
        cloudtrail(&riddle),
        levels.collect(),
    ];
    for file in files {
        let start = Instant::now();
        let import = import(&file);
        let shown: String = file.chars().take(60).collect();
        assert!(import.rules.is_empty() && !import.refused.is_empty(), "{shown}");
        assert!(start.elapsed() < Duration::from_secs(20), "{shown}: {:?}", start.elapsed());
    }
}

#[test]
fn the_command_writes_checked_rules_and_counts_refusals() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let stop = cloudtrail("  s: {eventName: StopLogging}\n  condition: s");
    support::put(folder.path(), "sigma/deep/stop.yml", stop.as_bytes());
    support::put(
        folder.path(),
        "sigma/expand.yaml",
        cloudtrail("  s: {userAgent|expand: '%x%'}\n  condition: s").as_bytes(),
    );
    // Valid for the importer, but more than the regular expressions of the engine take.
    support::put(
        folder.path(),
        "sigma/huge.yml",
        cloudtrail("  s: {userAgent|re: '((a{1000}){1000}){1000}'}\n  condition: s").as_bytes(),
    );
    support::put(folder.path(), "sigma/latin.yml", b"title: \xff");
    support::put(folder.path(), "sigma/readme.txt", b"not a rule");
    let run = |more: &[&str]| {
        let (sigma, rules) = (at("sigma"), at("rules"));
        let arguments: Vec<&str> =
            ["rules", "import", &sigma, "--dir", &rules].into_iter().chain(more.iter().copied()).collect();
        let output = support::run(&arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = run(&[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 rules imported into") && told.contains("3 refused"), "{told}");
    assert!(told.contains("expand.yaml:4: T: 'userAgent|expand'") && told.contains("not UTF-8"), "{told}");
    let written: Vec<String> = std::fs::read_dir(at("rules"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(written, ["sigma_stop.toml"]);
    assert!(support::run(&["rules", "test", &at("rules/sigma_stop.toml")]).status.success());
    assert_eq!(run(&["--strict"]).0, Some(3));
    // What someone has edited since is not lost by accident.
    let file = at("rules/sigma_stop.toml");
    std::fs::write(&file, "# mine").unwrap();
    assert!(run(&[]).1.contains("--overwrite"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine");
    run(&["--overwrite"]);
    assert!(std::fs::read_to_string(&file).unwrap().contains("StopLogging"));
    assert_eq!(support::run(&["rules", "import", &at("nowhere"), "--dir", &at("rules")]).status.code(), Some(2));
}
