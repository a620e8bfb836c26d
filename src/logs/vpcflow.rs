//! VPC and transit gateway flow logs: text of every version and field order, and the Parquet files that AWS delivers.
//!
//! **Fields.** Text objects in S3 begin with a header that names the fields in order; lines in CloudWatch Logs and Firehose
//! have none, so [`Format::guess`] knows the orders that AWS documents. Whatever the order, a row has the same columns.
//! `-` means that AWS had nothing to say: null. `NODATA` and `SKIPDATA` records are rows like the others, with nulls.
//!
//! **Identity.** A record that is delivered twice (two objects, text and Parquet, S3 and CloudWatch) is one row. Its identity
//! is a hash over all its field values and the fields' names, in no order, nulls left out. Two different flows cannot agree in
//! interface, addresses, ports, protocol, start, end, packets and bytes at once, so nothing real is lost. Formats without
//! some of these fields, and records that name no interface, can agree by right: there the second, third, ... equal record of
//! one object gets an identity of its own. Equal records of such a format in different objects count as one delivery.
//! Two subscriptions with different fields for the same interface give different records, and both are kept.

mod address;
mod format;
mod guess;
mod line;
mod parquet;
mod record;
mod split;
mod text;

pub use format::Format;
pub use guess::looks_like_line;
pub use line::decode;
pub use parquet::parquet;
pub use text::{text, utf8};

use super::LogType;
use crate::table::{Column, Kind, Table, column, searched};

/// VPC flow logs, <https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html>.
pub static VPCFLOW: LogType = LogType { name: "vpcflow", table: &TABLE };

static TABLE: Table = Table {
    name: "vpcflow",
    about: "Traffic of one flow during one interval, recorded by VPC flow logs.",
    time_name: None,
    clustered_by: &[],
    columns: &COLUMNS,
};

static COLUMNS: [Column; 75] = [
    searched("srcaddr", Kind::Text, "source address"),
    searched("dstaddr", Kind::Text, "destination address"),
    searched("pkt_srcaddr", Kind::Text, "original source address behind NAT"),
    searched("pkt_dstaddr", Kind::Text, "original destination address behind NAT"),
    column("srcport", Kind::Int, "source port"),
    column("dstport", Kind::Int, "destination port"),
    column("protocol", Kind::Int, "IANA protocol number"),
    column("action", Kind::Text, "ACCEPT or REJECT"),
    column("account_id", Kind::Text, "owner of the interface"),
    searched("interface_id", Kind::Text, "network interface"),
    column("instance_id", Kind::Text, "instance"),
    column("vpc_id", Kind::Text, "VPC"),
    column("subnet_id", Kind::Text, "subnet"),
    column("region", Kind::Text, "Region"),
    column("flow_direction", Kind::Text, "ingress or egress"),
    column("bytes", Kind::Long, "bytes in the interval"),
    column("packets", Kind::Long, "packets in the interval"),
    column("start", Kind::Long, "start of the interval, Unix seconds"),
    column("end", Kind::Long, "end of the interval, Unix seconds"),
    column("log_status", Kind::Text, "OK, NODATA or SKIPDATA"),
    column("traffic_path", Kind::Int, "way out: 1 same VPC ... 8 internet gateway"),
    column("tcp_flags", Kind::Int, "TCP flags, OR-ed over the interval"),
    column("pkt_src_aws_service", Kind::Text, "AWS service of the source address"),
    column("pkt_dst_aws_service", Kind::Text, "AWS service of the destination address"),
    column("srcaddr_key", Kind::Text, "source address as 32 hex digits, IPv4 mapped into IPv6: sorts as a number"),
    column("dstaddr_key", Kind::Text, "destination address in the same form"),
    column("type", Kind::Text, "IPv4, IPv6 or EFA"),
    column("version", Kind::Int, "highest version of the selected fields"),
    column("az_id", Kind::Text, "Availability Zone id"),
    column("sublocation_type", Kind::Text, "wavelength, outpost or localzone"),
    column("sublocation_id", Kind::Text, "its id"),
    column("ecs_cluster_arn", Kind::Text, "ECS cluster"),
    column("ecs_cluster_name", Kind::Text, "ECS cluster name"),
    column("ecs_container_instance_arn", Kind::Text, "ECS container instance"),
    column("ecs_container_instance_id", Kind::Text, "its id"),
    column("ecs_container_id", Kind::Text, "first container"),
    column("ecs_second_container_id", Kind::Text, "second container"),
    column("ecs_service_name", Kind::Text, "ECS service"),
    column("ecs_task_definition_arn", Kind::Text, "ECS task definition"),
    column("ecs_task_arn", Kind::Text, "ECS task"),
    column("ecs_task_id", Kind::Text, "its id"),
    column("reject_reason", Kind::Text, "BPA or EC"),
    column("resource_id", Kind::Text, "regional NAT gateway"),
    column("encryption_status", Kind::Int, "0 none, 1 Nitro, 2 application, 3 both"),
    column("instance_tag", Kind::Text, "tag value"),
    column("instance_tag_2", Kind::Text, "tag value"),
    column("interface_tag", Kind::Text, "tag value"),
    column("interface_tag_2", Kind::Text, "tag value"),
    column("asg_tag", Kind::Text, "tag value"),
    column("asg_tag_2", Kind::Text, "tag value"),
    column("interface_type", Kind::Text, "nat_gateway, network_load_balancer, transit_gateway, vpc_endpoint, ..."),
    column("next_hop_interface_id", Kind::Text, "interface on the other side"),
    column("next_hop_subnet_id", Kind::Text, "its subnet"),
    column("next_hop_az_id", Kind::Text, "its zone"),
    column("next_hop_vpc_id", Kind::Text, "its VPC"),
    column("next_hop_interface_type", Kind::Text, "its type"),
    column("resource_type", Kind::Text, "TransitGateway, in transit gateway logs"),
    column("tgw_id", Kind::Text, "transit gateway"),
    column("tgw_attachment_id", Kind::Text, "attachment"),
    column("tgw_src_vpc_account_id", Kind::Text, "owner of the source VPC"),
    column("tgw_dst_vpc_account_id", Kind::Text, "owner of the destination VPC"),
    column("tgw_src_vpc_id", Kind::Text, "source VPC"),
    column("tgw_dst_vpc_id", Kind::Text, "destination VPC"),
    column("tgw_src_subnet_id", Kind::Text, "source subnet"),
    column("tgw_dst_subnet_id", Kind::Text, "destination subnet"),
    column("tgw_src_eni", Kind::Text, "source interface"),
    column("tgw_dst_eni", Kind::Text, "destination interface"),
    column("tgw_src_az_id", Kind::Text, "source zone"),
    column("tgw_dst_az_id", Kind::Text, "destination zone"),
    column("tgw_pair_attachment_id", Kind::Text, "other attachment"),
    column("packets_lost_no_route", Kind::Long, "packets lost"),
    column("packets_lost_blackhole", Kind::Long, "packets lost"),
    column("packets_lost_mtu_exceeded", Kind::Long, "packets lost"),
    column("packets_lost_ttl_expired", Kind::Long, "packets lost"),
    column("extra", Kind::Json, "fields that have no column: name -> value"),
];
