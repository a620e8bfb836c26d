//! Flow logs through the public surface: every version and field order as text, Parquet, identities, hostile input.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use trailhound::logs::LOG_TYPES;
use trailhound::logs::rows::{Batch, Rows};
use trailhound::logs::sink::{Decoded, Sink};
use trailhound::logs::vpcflow::{Format, VPCFLOW, decode, looks_like_line, parquet, text};

const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
const V3: &str = "vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr";
const V4: &str = "region az-id sublocation-type sublocation-id";
const V5: &str = "pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path";
const V7: &str = "ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id \
                  ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id";
const V11: &str = "instance-tag instance-tag-2 interface-tag interface-tag-2 asg-tag asg-tag-2 interface-type \
                   next-hop-interface-id next-hop-subnet-id next-hop-az-id next-hop-vpc-id next-hop-interface-type";
const TGW: &str = "version resource-type account-id tgw-id tgw-attachment-id tgw-src-vpc-account-id \
    tgw-dst-vpc-account-id tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni \
    tgw-src-az-id tgw-dst-az-id tgw-pair-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
    log-status type packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded packets-lost-ttl-expired \
    tcp-flags region flow-direction pkt-src-aws-service pkt-dst-aws-service";

const FLOW: &str =
    "2 111122223333 eni-0aaaabbbbccccdddd 192.0.2.10 10.0.1.5 40112 443 6 12 3400 1790856000 1790856060 ACCEPT OK";
const QUIET: &str = "2 111122223333 eni-0aaaabbbbccccdddd - - - - - - - 1790856000 1790856060 - NODATA";
const SKIPPED: &str = "2 111122223333 eni-0aaaabbbbccccdddd - - - - - - - 1790856000 1790856060 - SKIPDATA";

fn read(object: &str) -> Decoded {
    read_bytes(object.as_bytes())
}

fn read_bytes(object: &[u8]) -> Decoded {
    let mut sink = Sink::new(0);
    text(object, &mut sink);
    sink.finish("s3://logs/flow.log.gz")
}

fn read_parquet(file: &Bytes) -> Option<Decoded> {
    let mut sink = Sink::new(0);
    let is_ours = parquet(file, &mut sink);
    assert!(is_ours || sink.is_empty(), "a foreign file leaves nothing behind");
    is_ours.then(|| sink.finish("s3://logs/flow.log.parquet"))
}

/// The value of a column as text, `null` when there is none.
fn value(batch: &Batch, row: usize, column: &str) -> String {
    let array = batch.rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    if array.is_null(row) { "null".to_owned() } else { array_value_to_string(array, row).expect("printable") }
}

/// Every column of a row that has a value, but for the file name.
fn values(batch: &Batch, row: usize) -> Vec<(String, String)> {
    let schema = batch.rows.schema();
    let names = schema.fields().iter().map(|field| field.name().clone()).filter(|name| name != "_object");
    names.map(|name| (name.clone(), value(batch, row, &name))).filter(|(_, value)| value != "null").collect()
}

/// Number of the flow log's rows, and of its records in quarantine.
fn counts(decoded: &Decoded) -> (u64, u64) {
    let place = LOG_TYPES.iter().position(|log| log.name == "vpcflow").expect("a log type");
    let counts = decoded.found.counts[place];
    let rows: usize = decoded.batches.iter().map(|batch| batch.rows.num_rows()).sum();
    assert_eq!(counts.read, rows as u64 + counts.quarantined, "every record is a row or in quarantine");
    assert_eq!(decoded.found.unrecognised.read, 0);
    let kept = decoded.found.quarantine.as_ref().map_or(0, |batch| batch.rows.num_rows());
    assert_eq!(kept as u64, counts.quarantined);
    (rows as u64, counts.quarantined)
}

fn only_batch(decoded: &Decoded) -> &Batch {
    assert_eq!(decoded.batches.len(), 1);
    &decoded.batches[0]
}

fn ids(object: &str) -> Vec<u128> {
    read(object).batches.into_iter().flat_map(|batch| batch.ids).collect()
}

fn expect(object: &str, expected: &[(&str, &str)]) {
    let decoded = read(object);
    assert_eq!(counts(&decoded), (1, 0), "{object}\n{:?}", decoded.found.quarantine);
    let batch = only_batch(&decoded);
    for (column, wanted) in expected {
        assert_eq!(value(batch, 0, column), *wanted, "{column} of {object}");
    }
}

#[test]
fn the_default_format_fills_its_columns_and_no_others() {
    let decoded = read(&format!("{V2}\n{FLOW}\n"));
    let expected = [
        ("time", "2026-10-01T12:00:00Z"),
        ("srcaddr", "192.0.2.10"),
        ("dstaddr", "10.0.1.5"),
        ("srcport", "40112"),
        ("dstport", "443"),
        ("protocol", "6"),
        ("action", "ACCEPT"),
        ("account_id", "111122223333"),
        ("interface_id", "eni-0aaaabbbbccccdddd"),
        ("bytes", "3400"),
        ("packets", "12"),
        ("start", "1790856000"),
        ("end", "1790856060"),
        ("log_status", "OK"),
        ("srcaddr_key", "00000000000000000000ffffc000020a"),
        ("dstaddr_key", "00000000000000000000ffff0a000105"),
        ("version", "2"),
        ("_record", "0"),
    ];
    let expected: Vec<(String, String)> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(values(only_batch(&decoded), 0), expected);
}

#[test]
fn every_version_is_read() {
    let v3 = format!("{V2} {V3}");
    let v5 = format!("{v3} {V4} {V5}");
    let v7 = format!("{v5} {V7}");
    let v11 = format!("{v7} reject-reason resource-id encryption-status {V11}");
    let flow = FLOW.strip_prefix("2 ").expect("version 2");
    let tail3 = "vpc-0aa subnet-0bb i-0cc 19 IPv4 10.1.0.7 10.0.1.5";
    let tail5 = "us-east-1 use1-az4 - - - S3 egress 7";
    let tail7 = "arn:aws:ecs:us-east-1:111122223333:cluster/app app - - abc-1 - web \
                 arn:aws:ecs:us-east-1:111122223333:task-definition/web:3 arn:aws:ecs:us-east-1:111122223333:task/app/t1 t1";
    expect(
        &format!("{v3}\n3 {flow} {tail3}"),
        &[
            ("version", "3"),
            ("vpc_id", "vpc-0aa"),
            ("instance_id", "i-0cc"),
            ("tcp_flags", "19"),
            ("type", "IPv4"),
            ("pkt_srcaddr", "10.1.0.7"),
            ("pkt_dstaddr", "10.0.1.5"),
        ],
    );
    expect(
        &format!("{v5}\n5 {flow} {tail3} {tail5}"),
        &[
            ("region", "us-east-1"),
            ("az_id", "use1-az4"),
            ("sublocation_type", "null"),
            ("pkt_src_aws_service", "null"),
            ("pkt_dst_aws_service", "S3"),
            ("flow_direction", "egress"),
            ("traffic_path", "7"),
        ],
    );
    expect(
        &format!("{v7}\n7 {flow} {tail3} {tail5} {tail7}"),
        &[
            ("ecs_cluster_arn", "arn:aws:ecs:us-east-1:111122223333:cluster/app"),
            ("ecs_container_instance_arn", "null"),
            ("ecs_container_id", "abc-1"),
            ("ecs_second_container_id", "null"),
            ("ecs_service_name", "web"),
            ("ecs_task_id", "t1"),
        ],
    );
    let tail11 = "BPA nat-0dd 2 team%20one - a%3Db - - - vpc_endpoint eni-0ee subnet-0ff use1-az6 vpc-0ab nat_gateway";
    expect(
        &format!("{v11}\n11 {flow} {tail3} {tail5} {tail7} {tail11}"),
        &[
            ("reject_reason", "BPA"),
            ("resource_id", "nat-0dd"),
            ("encryption_status", "2"),
            ("instance_tag", "team one"),
            ("instance_tag_2", "null"),
            ("interface_tag", "a=b"),
            ("interface_type", "vpc_endpoint"),
            ("next_hop_interface_id", "eni-0ee"),
            ("next_hop_vpc_id", "vpc-0ab"),
            ("next_hop_interface_type", "nat_gateway"),
        ],
    );
}

#[test]
fn transit_gateway_records_are_read() {
    let record = "6 TransitGateway 111122223333 tgw-0aa tgw-attach-0bb 111122223333 444455556666 vpc-0aa vpc-0bb subnet-0aa \
                  subnet-0bb eni-0aa eni-0bb use1-az1 use1-az2 tgw-attach-0cc 10.1.0.4 10.2.0.9 55000 443 6 9 1800 \
                  1790856000 1790856060 OK IPv4 1 2 3 4 24 us-east-1 ingress - S3";
    let expected = [
        ("resource_type", "TransitGateway"),
        ("tgw_attachment_id", "tgw-attach-0bb"),
        ("tgw_dst_vpc_account_id", "444455556666"),
        ("tgw_src_subnet_id", "subnet-0aa"),
        ("tgw_dst_eni", "eni-0bb"),
        ("packets_lost_no_route", "1"),
        ("packets_lost_ttl_expired", "4"),
        ("tcp_flags", "24"),
        ("flow_direction", "ingress"),
        ("pkt_dst_aws_service", "S3"),
        ("interface_id", "null"),
        ("action", "null"),
    ];
    expect(&format!("{TGW}\n{record}"), &expected);
    expect(record, &expected);
}

#[test]
fn records_without_traffic_are_rows_with_nulls() {
    for (line, status) in [(QUIET, "NODATA"), (SKIPPED, "SKIPDATA")] {
        expect(
            &format!("{V2}\n{line}\n"),
            &[
                ("log_status", status),
                ("srcaddr", "null"),
                ("srcaddr_key", "null"),
                ("srcport", "null"),
                ("bytes", "null"),
                ("action", "null"),
                ("interface_id", "eni-0aaaabbbbccccdddd"),
                ("start", "1790856000"),
            ],
        );
    }
    let with_addresses = "2 - - 192.0.2.1 2001:db8::1 1 2 17 51 33615 1790856000 1790856060 REJECT NODATA";
    expect(with_addresses, &[("srcaddr", "192.0.2.1"), ("log_status", "NODATA"), ("interface_id", "null")]);
}

#[test]
fn ipv6_and_icmp_and_gateway_records_are_read() {
    let ipv6 = "2 111122223333 eni-0a 2001:db8:1::a 2001:db8:2::b 0 0 58 2 208 1790856000 1790856060 ACCEPT OK";
    expect(
        ipv6,
        &[
            ("srcaddr", "2001:db8:1::a"),
            ("srcaddr_key", "20010db800010000000000000000000a"),
            ("dstaddr_key", "20010db800020000000000000000000b"),
            ("protocol", "58"),
            ("srcport", "0"),
        ],
    );
    let service = "2 unknown - 192.0.2.1 198.51.100.1 1 2 6 1 40 1790856000 1790856060 REJECT OK";
    expect(service, &[("account_id", "unknown"), ("interface_id", "null"), ("action", "REJECT")]);
}

#[test]
fn fields_may_come_in_any_order_and_number() {
    let headers = [
        "dstaddr srcaddr end start log-status",
        "dstaddr srcaddr end start log_status",
        "dstAddr srcAddr end start logStatus",
        "${dstaddr} ${srcaddr} ${end} ${start} ${log-status}",
        "'${dstaddr} ${srcaddr} ${end} ${start} ${log-status}'",
        "\u{feff}dstaddr\tsrcaddr  end start log-status ",
    ];
    for header in headers {
        expect(
            &format!("{header}\r\n192.0.2.7   10.0.0.1 1790856060\t1790856000 OK\r\n"),
            &[("dstaddr", "192.0.2.7"), ("srcaddr", "10.0.0.1"), ("end", "1790856060"), ("log_status", "OK")],
        );
    }
    expect("${start} ${bytes}\n1790856000 17\n", &[("bytes", "17"), ("time", "2026-10-01T12:00:00Z")]);
    expect("srcaddr end start\n192.0.2.7 1790856060 -", &[("start", "null"), ("time", "2026-10-01T12:01:00Z")]);
}

#[test]
fn fields_that_are_not_known_yet_are_kept() {
    let decoded = read(
        "start srcaddr new-field otherField dstaddr\n1790856000 192.0.2.1 x - 192.0.2.2\n1790856000 192.0.2.1 y \"z\" -",
    );
    assert_eq!(counts(&decoded), (2, 0));
    let batch = only_batch(&decoded);
    assert_eq!(value(batch, 0, "extra"), r#"{"new_field":"x"}"#);
    assert_eq!(value(batch, 1, "extra"), r#"{"new_field":"y","other_field":"\"z\""}"#);
    assert_ne!(batch.ids[0], batch.ids[1]);
}

#[test]
fn other_lines_are_no_headers() {
    let lines = [
        "",
        "start",
        "start end",
        "the start and the end of it",
        "version type region start end",
        "dstport,protocol,tag",
        "id,type,start,end",
        "srcaddr dstaddr one two three four five",
        "srcaddr srcaddr dstaddr start end",
        "srcaddr_key dstaddr_key start",
        "srcaddr dstaddr {start} end",
        "{\"srcaddr\": 1, \"dstaddr\": 2}",
        "${}",
        "${start} ${nonsense}",
        FLOW,
        QUIET,
    ];
    for line in lines {
        assert!(Format::from_header(line).is_none(), "{line}");
    }
    let wide = (0..200).map(|n| format!("field-{n}")).collect::<Vec<_>>().join(" ");
    assert!(Format::from_header(&format!("{V2} {wide}")).is_none());
}

#[test]
fn documented_orders_need_no_header() {
    let v5_example = "5 192.0.2.1 10.0.0.7 80 34210 6 1790856000 1790856060 IPv4 14 15044 111122223333 vpc-0aa subnet-0aa i-0aa \
                      eni-0aa ap-southeast-2 apse2-az3 - - ACCEPT 19 192.0.2.1 10.0.0.7 S3 - - ingress OK";
    let v3_example = "3 vpc-0aa subnet-0aa i-0aa eni-0aa 111122223333 IPv4 192.0.2.1 10.0.0.7 43416 5001 192.0.2.1 10.0.0.7 6 \
                      568 8 1790856000 1790856060 ACCEPT 2 OK";
    let ecs = format!(
        "7 {} app arn:aws:ecs:us-east-1:111122223333:cluster/app - - web arn:aws:ecs:us-east-1:111122223333:task-definition/web:1 \
         t1 arn:aws:ecs:us-east-1:111122223333:task/app/t1 c1 -",
        &FLOW[2..]
    );
    let full = format!(
        "5 {} vpc-0aa subnet-0aa - 2 IPv4 192.0.2.10 10.0.1.5 eu-west-1 euw1-az2 - - - - ingress -",
        &FLOW[2..]
    );
    let cases: [(&str, &[(&str, &str)]); 7] = [
        (FLOW, &[("srcport", "40112"), ("bytes", "3400")]),
        (v5_example, &[("dstaddr", "10.0.0.7"), ("packets", "14"), ("bytes", "15044"), ("flow_direction", "ingress")]),
        (v3_example, &[("packets", "8"), ("bytes", "568"), ("tcp_flags", "2"), ("account_id", "111122223333")]),
        (&ecs, &[("ecs_cluster_name", "app"), ("ecs_task_id", "t1"), ("ecs_container_id", "c1")]),
        (&full, &[("flow_direction", "ingress"), ("az_id", "euw1-az2"), ("instance_id", "null")]),
        (&format!("2026-10-01T12:00:00.000Z {FLOW}"), &[("srcport", "40112"), ("extra", "null")]),
        (&format!("2026-10-01T12:00:00+00:00 eni-0a-all {FLOW}"), &[("interface_id", "eni-0aaaabbbbccccdddd")]),
    ];
    for (line, expected) in cases {
        expect(line, expected);
        assert!(looks_like_line(line), "{line}");
    }
    expect(&FLOW.replace(' ', ","), &[("srcport", "40112"), ("log_status", "OK")]);
}

#[test]
fn lines_that_fit_no_documented_order_are_not_guessed() {
    let lines = [
        "",
        "hello world",
        // Bytes before packets: a custom order with the same kinds of fields.
        "2 111122223333 eni-0a 192.0.2.1 192.0.2.2 1 2 6 3400 12 1790856000 1790856060 ACCEPT OK",
        // Status before action.
        "2 111122223333 eni-0a 192.0.2.1 192.0.2.2 1 2 6 12 3400 1790856000 1790856060 OK ACCEPT",
        // End long before start.
        "2 111122223333 eni-0a 192.0.2.1 192.0.2.2 1 2 6 12 3400 1790856060 1790850000 ACCEPT OK",
        "2 111122223333 eni-0a 192.0.2.1 192.0.2.2 1 70000 6 12 3400 1790856000 1790856060 ACCEPT OK",
        "9 111122223333 eni-0a 192.0.2.1 192.0.2.2 1 2 6 12 3400 1790856000 1790856060 ACCEPT OK",
        "2 111122223333 eni-0a 192.0.2.1 192.0.2.2 1 2 6 12 3400 1790856000 1790856060 ACCEPT",
    ];
    for line in lines {
        assert!(Format::guess(line).is_none(), "{line}");
        let decoded = read(line);
        assert_eq!(counts(&decoded), (0, u64::from(!line.is_empty())), "{line}");
    }
    let custom = "ACCEPT eni-0a 192.0.2.1 192.0.2.2 1790856000 1790856060 OK";
    assert!(looks_like_line(custom) && Format::guess(custom).is_none());
    for line in ["all is OK now", "1790856000 1790856060 OK", "GET / 192.0.2.1 192.0.2.2 200 OK", ""] {
        assert!(!looks_like_line(line), "{line}");
    }
}

#[test]
fn wrong_lines_are_quarantined_and_the_rest_is_read() {
    let mut object = format!("{V2}\n{FLOW}\n").into_bytes();
    object.extend_from_slice(b"2 111122223333 eni-0a 192.0.2.1\n");
    object.extend_from_slice(FLOW.replace("443", "https").as_bytes());
    object.extend_from_slice(b"\n\n   \n\xff\xfe 1 2\n");
    object.extend_from_slice(FLOW.replace(" 443 ", " 4294967296 ").as_bytes());
    object.extend_from_slice(b"\n");
    object.extend_from_slice(FLOW.replace("1790856000 1790856060", "- -").as_bytes());
    object.extend_from_slice(b"\n");
    object.extend_from_slice(FLOW.replace("1790856000", "1790856000000").as_bytes());
    object.extend_from_slice(format!("\n{QUIET}\n").as_bytes());
    let decoded = read_bytes(&object);
    assert_eq!(counts(&decoded), (2, 6));
    let batch = only_batch(&decoded);
    assert_eq!([value(batch, 0, "_record"), value(batch, 1, "_record")], ["0", "7"]);
    let quarantine = decoded.found.quarantine.as_ref().expect("six records");
    let reasons: Vec<(String, String)> =
        (0..6).map(|row| (value(quarantine, row, "_record"), value(quarantine, row, "reason"))).collect();
    let expected = [
        ("1", "the line has 4 fields, the format has 14"),
        ("2", "dstport is not a number that fits"),
        ("3", "the line is not UTF-8"),
        ("4", "dstport is not a number that fits"),
        ("5", "neither start nor end has a value, so the record has no time"),
        ("6", "start is not a time in Unix seconds"),
    ];
    assert_eq!(reasons, expected.map(|(index, reason)| (index.to_owned(), reason.to_owned())));
    assert_eq!(value(quarantine, 0, "log"), "vpcflow");
    assert_eq!(value(quarantine, 0, "start"), "2 111122223333 eni-0a 192.0.2.1");
}

#[test]
fn a_format_without_times_says_so() {
    let decoded = read("srcaddr dstaddr packets\n192.0.2.1 192.0.2.2 4\n");
    assert_eq!(counts(&decoded), (0, 1));
    let quarantine = decoded.found.quarantine.expect("a record");
    assert_eq!(value(&quarantine, 0, "reason"), "the format has neither start nor end, so the record has no time");
}

#[test]
fn objects_that_were_put_together_are_read() {
    let object = format!("{FLOW}\n\n{V2}\n{QUIET}\n{V2}\r\n{FLOW}\r\nstart srcaddr bytes\n1790856000 192.0.2.1 7\n");
    let decoded = read(&object);
    assert_eq!(counts(&decoded), (4, 0));
    let batch = only_batch(&decoded);
    assert_eq!(value(batch, 3, "bytes"), "7");
    assert_eq!(value(batch, 3, "_record"), "3");
    assert_eq!(batch.ids[0], batch.ids[2]);
}

#[test]
fn commas_separate_as_well() {
    let object = "start,\"end\",srcaddr,bytes,note,instance-tag\n1790856000,1790856060,192.0.2.1,7.0,\"a, b\",\n1790856000,,,,,None\n";
    let decoded = read(object);
    assert_eq!(counts(&decoded), (2, 0), "{:?}", decoded.found.quarantine);
    let batch = only_batch(&decoded);
    assert_eq!(value(batch, 0, "bytes"), "7");
    assert_eq!(value(batch, 0, "extra"), r#"{"note":"a, b"}"#);
    assert_eq!([value(batch, 1, "srcaddr"), value(batch, 1, "instance_tag")], ["null", "None"]);
}

#[test]
fn empty_tags_are_empty_and_not_missing() {
    let header = "version start srcaddr instance-tag asg-tag";
    expect(&format!("{header}\n11 1790856000 192.0.2.1  x"), &[("instance_tag", ""), ("asg_tag", "x")]);
    expect(&format!("{header}\n11 1790856000 192.0.2.1 x "), &[("instance_tag", "x"), ("asg_tag", "")]);
    expect(&format!("{header}\n11 1790856000 192.0.2.1  "), &[("instance_tag", ""), ("asg_tag", "")]);
    expect(&format!("{header}\n11 1790856000 192.0.2.1 - y%0A"), &[("instance_tag", "null"), ("asg_tag", "y\n")]);
    assert_eq!(counts(&read(&format!("{header}\n11 1790856000 192.0.2.1 x"))), (0, 1));
}

#[test]
fn the_last_line_may_lack_its_end() {
    assert_eq!(counts(&read(&format!("{V2}\n{FLOW}"))), (1, 0));
    assert_eq!(counts(&read(&format!("{V2}\n{FLOW}\n{}", &FLOW[..60]))), (1, 1));
    let cut = &FLOW[..FLOW.len() - 1];
    let decoded = read(&format!("{V2}\n{cut}"));
    assert_eq!(counts(&decoded), (0, 1));
    assert_eq!(value(&decoded.found.quarantine.expect("a record"), 0, "reason"), "the object ends within this line");
    assert_eq!(counts(&read(&format!("{V2}\n{cut}\n"))), (1, 0), "a status that AWS may add one day");
}

#[test]
fn a_record_is_the_same_event_in_every_delivery() {
    let one = ids(FLOW)[0];
    let other_order = "log-status action end start bytes packets protocol dstport srcport dstaddr srcaddr interface-id account-id version";
    let reversed = FLOW.split(' ').rev().collect::<Vec<_>>().join(" ");
    assert_eq!(ids(&format!("{other_order}\n{reversed}")), [one]);
    assert_eq!(ids(&format!("2026-10-01T12:00:00Z {FLOW}")), [one]);
    let with_null = format!("{V2} vpc-id\n{FLOW} -");
    assert_eq!(ids(&with_null), [one]);
    assert_eq!(ids(&format!("{V2}\n{FLOW}\n{FLOW}\n")), [one, one]);
}

#[test]
fn any_difference_makes_another_event() {
    let mut seen = std::collections::HashSet::from([ids(FLOW)[0]]);
    let changes = [
        ("111122223333", "444455556666"),
        ("eni-0aaaabbbbccccdddd", "eni-0aaaabbbbccccddde"),
        ("192.0.2.10 10.0.1.5", "10.0.1.5 192.0.2.10"),
        ("40112 443", "443 40112"),
        ("40112", "40113"),
        (" 6 ", " 17 "),
        (" 12 3400 ", " 3400 12 "),
        ("1790856060", "1790856061"),
        ("ACCEPT", "REJECT"),
        (" OK", " SKIPDATA"),
    ];
    for (from, to) in changes {
        assert!(seen.insert(ids(&format!("{V2}\n{}", FLOW.replace(from, to)))[0]), "{from} -> {to}");
    }
}

#[test]
fn records_of_poor_formats_may_be_alike() {
    let object = "start srcaddr dstaddr bytes\n1790856000 192.0.2.1 192.0.2.2 40\n1790856000 192.0.2.1 192.0.2.2 40\n1790856000 192.0.2.1 192.0.2.2 41\n";
    let found = ids(object);
    assert_eq!(found.iter().collect::<std::collections::HashSet<_>>().len(), 3);
    assert_eq!(ids(object), found, "and reading again gives the same");
    let unnamed = format!("{V2}\n{0}\n{0}\n", FLOW.replace("eni-0aaaabbbbccccdddd", "-"));
    let found = ids(&unnamed);
    assert_ne!(found[0], found[1]);
}

#[test]
fn a_line_may_be_decoded_alone() {
    let mut rows = Rows::new(VPCFLOW.table);
    let format = Format::guess(FLOW).expect("the default format");
    assert_eq!(decode(&mut rows, &format, 7, FLOW), Ok(()));
    assert!(decode(&mut rows, &format, 8, "2 x").is_err());
    let long = format!("{FLOW}{}", " ".repeat(1 << 16));
    assert!(decode(&mut rows, &format, 9, &long).is_err());
    let batch = rows.take("o").expect("one row");
    assert_eq!(batch.rows.num_rows(), 1);
    assert_eq!(value(&batch, 0, "_record"), "7");
}

/// A file with AWS's names and types from lines in a format of text fields.
fn aws_parquet(header: &str, lines: &[&str], compression: Compression) -> Bytes {
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (place, name) in header.split_ascii_whitespace().enumerate() {
        let tokens: Vec<Option<&str>> =
            lines.iter().map(|line| line.split_ascii_whitespace().nth(place).filter(|token| *token != "-")).collect();
        let number = |token: &Option<&str>| token.map(|token| token.parse::<i64>().expect("a number"));
        let column: ArrayRef = match name {
            "version" | "srcport" | "dstport" | "protocol" | "tcp-flags" | "traffic-path" => {
                Arc::new(tokens.iter().map(|token| number(token).map(|n| n as i32)).collect::<Int32Array>())
            }
            "packets" | "bytes" | "start" | "end" => Arc::new(tokens.iter().map(number).collect::<Int64Array>()),
            _ => Arc::new(tokens.iter().map(|token| Some(token.unwrap_or("-"))).collect::<StringArray>()),
        };
        fields.push(Field::new(name.replace('-', "_"), column.data_type().clone(), true));
        columns.push(column);
    }
    write_parquet(Schema::new(fields), columns, compression)
}

fn write_parquet(schema: Schema, columns: Vec<ArrayRef>, compression: Compression) -> Bytes {
    let batch = RecordBatch::try_new(Arc::new(schema), columns).expect("columns of the schema");
    let properties =
        WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(2)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    Bytes::from(writer.into_inner().expect("closed"))
}

#[test]
fn parquet_and_text_give_the_same_rows() {
    let header = format!("{V2} {V3} {V4} {V5}");
    let lines = [
        format!(
            "5 {} vpc-0aa subnet-0aa i-0aa 19 IPv4 192.0.2.10 10.0.1.5 us-east-1 use1-az4 - - - S3 egress 7",
            &FLOW[2..]
        ),
        format!("5 {} - - - - - - - - - - - - - - -", &QUIET[2..]),
        format!("5 {} - - - 2 IPv4 - - - - - - - - ingress -", &FLOW[2..].replace("443", "8443")),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let from_text = read(&format!("{header}\n{}\n", lines.join("\n")));
    let expected = only_batch(&from_text);
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        let decoded = read_parquet(&aws_parquet(&header, &lines, compression)).expect("a flow log");
        assert_eq!(counts(&decoded), (3, 0), "{:?}", decoded.found.quarantine);
        let batch = only_batch(&decoded);
        assert_eq!(batch.ids, expected.ids);
        for row in 0..3 {
            assert_eq!(values(batch, row), values(expected, row));
        }
    }
}

#[test]
fn parquet_of_other_types_is_read_by_its_values() {
    let texts = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("account-id", Arc::new(Int64Array::from(vec![22_223_333, 111_122_223_333, 1, 1]))),
        ("srcAddr", texts(&["192.0.2.1", "None", "192.0.2.3", "192.0.2.4"])),
        ("dstport", texts(&["443", "None", "443.0", "https"])),
        ("srcport", Arc::new(Int64Array::from(vec![1, 2, 4_294_967_296, 3]))),
        ("start", texts(&["1790856000", "1790856001", "1790856002", "1790856003"])),
        ("rank", Arc::new(Int64Array::from(vec![Some(5), None, None, None]))),
        ("year", texts(&["2026", "2026", "2026", "2026"])),
    ];
    let schema =
        Schema::new(columns.iter().map(|(n, c)| Field::new(*n, c.data_type().clone(), true)).collect::<Vec<_>>());
    let file = write_parquet(schema, columns.into_iter().map(|(_, column)| column).collect(), Compression::SNAPPY);
    let decoded = read_parquet(&file).expect("a flow log");
    assert_eq!(counts(&decoded), (2, 2));
    let batch = only_batch(&decoded);
    assert_eq!(value(batch, 0, "account_id"), "000022223333");
    assert_eq!(value(batch, 0, "extra"), r#"{"rank":"5","year":"2026"}"#);
    assert_eq!([value(batch, 1, "srcaddr"), value(batch, 1, "dstport")], ["null", "null"]);
    let quarantine = decoded.found.quarantine.as_ref().expect("two records");
    let shown = |row| (value(quarantine, row, "_record"), value(quarantine, row, "reason"));
    assert_eq!(shown(0), ("2".to_owned(), "srcport is not a number that fits".to_owned()));
    assert_eq!(shown(1), ("3".to_owned(), "dstport is not a number that fits".to_owned()));
    assert!(value(quarantine, 1, "start").contains("dstport=https"));
}

#[test]
fn other_parquet_is_not_ours() {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("start", DataType::Int64, true)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![2]))];
    let other = write_parquet(schema, columns, Compression::UNCOMPRESSED);
    assert!(read_parquet(&other).is_none());
    assert!(read_parquet(&Bytes::new()).is_none());
    assert!(read_parquet(&Bytes::from_static(b"PAR1")).is_none());
    assert!(read_parquet(&Bytes::from_static(b"PAR1\xff\xff\xff\xffPAR1")).is_none());
    assert!(read_parquet(&Bytes::from(FLOW.as_bytes())).is_none());
}

#[test]
fn a_broken_parquet_flow_log_is_quarantined_with_the_reason() {
    let file = aws_parquet(V2, &[FLOW, QUIET, FLOW], Compression::SNAPPY);
    // The footer's length says that it begins before the file.
    let mut broken = file.to_vec();
    let at = broken.len() - 8;
    broken[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let decoded = read_parquet(&Bytes::from(broken)).expect("still recognised");
    assert_eq!(counts(&decoded), (0, 1));
    let reason = value(&decoded.found.quarantine.expect("a record"), 0, "reason");
    assert!(reason.contains("footer"), "{reason}");
    // The first row group's pages are overwritten; the second is read.
    let mut broken = file.to_vec();
    broken[4..40].fill(0xff);
    let decoded = read_parquet(&Bytes::from(broken)).expect("still recognised");
    assert_eq!(counts(&decoded), (1, 1));
    assert_eq!(value(only_batch(&decoded), 0, "_record"), "2");
}

/// True when the reader panics on this file.
fn stops_the_reader(file: &Bytes) -> bool {
    let quarantine = read_parquet(file).and_then(|decoded| decoded.found.quarantine);
    quarantine.is_some_and(|batch| value(&batch, 0, "reason").contains("stops the reader"))
}

#[test]
fn panics_of_the_reader_are_not_printed_and_all_others_are() {
    const CHILD: &str = "TRAILHOUND_TEST_PANICS";
    if std::env::var_os(CHILD).is_some() {
        let file = aws_parquet(V2, &[FLOW, QUIET], Compression::UNCOMPRESSED);
        let mut broken = (0..file.len()).map(|place| {
            let mut bytes = file.to_vec();
            bytes[place] = 0xff;
            Bytes::from(bytes)
        });
        assert!(broken.any(|file| stops_the_reader(&file)), "no file made the reader panic: nothing is tested");
        assert!(std::thread::spawn(|| panic!("of another thread")).join().is_err());
        assert!(std::panic::catch_unwind(|| panic!("of this thread, later")).is_err());
        return;
    }
    let this = std::env::current_exe().expect("a test binary");
    let only = ["panics_of_the_reader_are_not_printed_and_all_others_are", "--exact", "--nocapture"];
    let child = std::process::Command::new(this).args(only).env(CHILD, "1").output().expect("it runs");
    let talk = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{talk}");
    let told: Vec<&str> = talk.lines().filter(|line| line.starts_with("of ")).collect();
    assert_eq!(told, ["of another thread", "of this thread, later"], "{talk}");
    assert_eq!(talk.matches("panicked at").count(), 2, "{talk}");
}

#[test]
fn a_footer_cannot_ask_for_more_than_it_holds() {
    // FileMetaData with one list of 2^31 - 1 row groups: version, schema of one column, rows, row groups.
    let mut footer = b"\x15\x02\x19\x1c\x48\x07srcaddrdstaddrlog_status\x15\x00\x00\x16\x02\x19\xfc".to_vec();
    footer.extend_from_slice(b"\xff\xff\xff\xff\x07");
    let mut file = b"PAR1".to_vec();
    file.extend_from_slice(&footer);
    file.extend_from_slice(&(footer.len() as u32).to_le_bytes());
    file.extend_from_slice(b"PAR1");
    let decoded = read_parquet(&Bytes::from(file)).expect("it names our columns");
    assert_eq!(counts(&decoded), (0, 1));
}

/// Tokens as flow logs have them, and as they do not.
fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("-".to_owned()),
        Just("2".to_owned()),
        Just("OK".to_owned()),
        Just("eni-0a".to_owned()),
        Just("192.0.2.1".to_owned()),
        Just("1790856000".to_owned()),
        Just("start".to_owned()),
        Just("${end}".to_owned()),
        "[0-9]{1,22}",
        "[a-f0-9:]{1,20}",
        "\\PC{0,12}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    (proptest::collection::vec(token(), 0..45), prop_oneof![Just(" "), Just("  "), Just(","), Just("\t")])
        .prop_map(|(tokens, separator)| tokens.join(separator))
}

proptest! {
    #[test]
    fn random_lines_are_rows_or_quarantined(lines in proptest::collection::vec(line(), 0..12), headed in any::<bool>()) {
        let header = if headed { V2 } else { "" };
        counts(&read(&format!("{header}\n{}", lines.join("\n"))));
        for line in &lines {
            Format::from_header(line);
            looks_like_line(line);
        }
    }

    #[test]
    fn random_bytes_are_rows_or_quarantined(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        counts(&read_bytes(&bytes));
        let mut headed = format!("{V2}\n").into_bytes();
        headed.extend_from_slice(&bytes);
        counts(&read_bytes(&headed));
        read_parquet(&Bytes::from([b"PAR1", bytes.as_slice(), b"PAR1"].concat()));
    }

    #[test]
    fn a_line_that_is_not_utf8_changes_no_other(lines in proptest::collection::vec(line(), 0..6), port in 0..65_536) {
        let flow = FLOW.replace(" 443 ", &format!(" {port} "));
        let object = format!("{V2}\n{flow}\n{}\n{QUIET}\n", lines.join("\n")).into_bytes();
        let (whole, broken) = (read_bytes(&object), read_bytes(&[object.as_slice(), b"\xff\n"].concat()));
        let all = |decoded: &Decoded| -> Vec<(Vec<u128>, RecordBatch)> {
            decoded.batches.iter().map(|batch| (batch.ids.clone(), batch.rows.clone())).collect()
        };
        prop_assert_eq!(all(&whole), all(&broken));
        prop_assert_eq!(counts(&whole).1 + 1, counts(&broken).1);
    }

    #[test]
    fn changed_flow_lines_are_rows_or_quarantined(at in 0..FLOW.len(), byte in any::<u8>(), cut in 0..FLOW.len()) {
        let mut line = FLOW.as_bytes().to_vec();
        line[at] = byte;
        counts(&read_bytes(&[V2.as_bytes(), b"\n", &line, b"\n", &line[..cut]].concat()));
    }

    #[test]
    fn numbers_are_kept_exactly(packets in 0..=i64::MAX, port in 0..=i32::MAX, start in 0..253_402_300_800i64) {
        let line = format!("{start} {port} {packets}");
        expect(&format!("start srcport packets\n{line}"), &[
            ("start", &start.to_string()), ("srcport", &port.to_string()), ("packets", &packets.to_string()),
        ]);
    }

    #[test]
    fn broken_parquet_never_stops_the_process(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), cuts in any::<bool>(), packed in any::<bool>()) {
        let compression = if packed { Compression::SNAPPY } else { Compression::UNCOMPRESSED };
        let mut file = aws_parquet(V2, &[FLOW, QUIET, SKIPPED], compression).to_vec();
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        if cuts {
            file.truncate(cut.index(file.len()));
        }
        if let Some(decoded) = read_parquet(&Bytes::from(file)) {
            counts(&decoded);
        }
    }
}
