//! Made flow log objects: the default format, and one with all fields of version 5 and two of version 7.

use std::fmt::Write;

use super::Dice;

/// Lines of one object.
const PER_OBJECT: u64 = 25_000;

/// Header of the default format.
const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                       action log-status";
/// What the custom format has after it.
const CUSTOM: &str = "vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id \
                      pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path ecs-cluster-name ecs-task-id";

/// Object number `object` in the default format, 14 fields.
pub fn default_object(object: u64) -> String {
    made(object, DEFAULT, |_, _, _, _| {})
}

/// The same in the custom format, 29 fields.
pub fn custom_object(object: u64) -> String {
    made(object, &format!("{DEFAULT} {CUSTOM}"), |text, dice, source, target| {
        let service = dice.pick(&["-", "-", "-", "S3", "AMAZON", "EC2"]);
        let (subnet, instance, flags, path) =
            (dice.roll() % 12, dice.roll() % 40, dice.roll() % 20, dice.roll() % 8 + 1);
        let way = dice.pick(&["ingress", "egress"]);
        let _ = write!(
            text,
            " vpc-0a1b2c3d4e5f60718 subnet-0a1b2c3d4e5f607{subnet:02} i-0a1b2c3d4e5f607{instance:02} {flags} IPv4 {source} \
             {target} us-east-1 use1-az1 {service} - {way} {path} inference {:032x}",
            u128::from(instance) << 90
        );
    })
}

fn made(object: u64, header: &str, rest: impl Fn(&mut String, &mut Dice, &str, &str)) -> String {
    let mut dice = Dice::of(object);
    let (mut text, mut source, mut target) = (format!("{header}\n"), String::new(), String::new());
    for _ in 0..PER_OBJECT {
        source.clear();
        target.clear();
        let scan = dice.roll().is_multiple_of(3);
        let _ = match dice.roll() % 32 {
            0 => write!(source, "2001:db8::{:x}", dice.roll() % 65_536),
            _ if scan => write!(source, "198.51.{}.{}", dice.roll() % 256, dice.roll() % 256),
            _ => write!(source, "10.0.{}.{}", dice.roll() % 8, dice.roll() % 250),
        };
        let _ = write!(target, "10.0.{}.{}", dice.roll() % 8, dice.roll() % 250);
        let (action, packets) = if scan { ("REJECT", 1) } else { ("ACCEPT", dice.roll() % 200) };
        let start = 1_790_856_000 + object * 300 + dice.roll() % 300;
        let _ = write!(
            text,
            "2 111122223333 eni-0a1b2c3d4e5f607{:02} {source} {target} {} {} {} {packets} {} {start} {} {action} OK",
            dice.roll() % 40,
            1024 + dice.roll() % 64_000,
            dice.pick(&["443", "5432", "53", "123", "8080", "22", "3389"]),
            dice.pick(&["6", "6", "6", "17"]),
            packets * (40 + dice.roll() % 1_400),
            start + dice.roll() % 60,
        );
        rest(&mut text, &mut dice, &source, &target);
        text.push('\n');
    }
    text
}
