//! `bucket_arn(bucket, region)`: the Amazon Resource Name of an S3 bucket.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::StringBuilder;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::utils::take_function_args;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::on_text::{Texts, text_type};
use super::{Build, Function, FunctionDoc};
use crate::engine::arn;

pub(super) static BUCKET_ARN: Function = Function {
    doc: FunctionDoc {
        name: "bucket_arn",
        syntax: "bucket_arn(bucket, region)",
        about: "The ARN of an S3 bucket, in the partition of a Region in which it is used (`aws` when that is null). Takes a \
                name or an s3:// address; ARNs stay as they are, because access points stand in the same fields. Null for \
                empty text.",
        example: "SELECT bucket_arn('s3://company-data/2026/a.csv', 'cn-north-1')",
        result: "arn:aws-cn:s3:::company-data",
    },
    build: || {
        Build::Scalar(ScalarUDF::new_from_impl(BucketArn { signature: Signature::user_defined(Volatility::Immutable) }))
    },
};

#[derive(Debug, PartialEq, Eq, Hash)]
struct BucketArn {
    signature: Signature,
}

impl ScalarUDFImpl for BucketArn {
    fn name(&self) -> &str {
        "bucket_arn"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [bucket, region] = take_function_args(self.name(), types)?;
        Ok(vec![text_type(self.name(), bucket)?, text_type(self.name(), region)?])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [buckets, regions] = take_function_args(self.name(), args.args)?;
        let buckets = cast(&buckets.into_array(rows)?, &DataType::Utf8)?;
        let regions = cast(&regions.into_array(rows)?, &DataType::Utf8)?;
        let (buckets, regions) = (Texts::of(&buckets)?, Texts::of(&regions)?);
        let mut builder = StringBuilder::new();
        for (bucket, region) in buckets.iter().zip(regions.iter()) {
            builder.append_option(bucket.and_then(|bucket| bucket_arn(bucket, region.unwrap_or_default())));
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish())))
    }
}

fn bucket_arn<'a>(bucket: &'a str, region: &str) -> Option<Cow<'a, str>> {
    if arn::Arn::parse(bucket).is_some() {
        return Some(bucket.into());
    }
    let path = bucket.strip_prefix("s3://").unwrap_or(bucket);
    let name = path.split('/').next().filter(|name| !name.is_empty())?;
    Some(format!("arn:{}:s3:::{name}", arn::partition(region)).into())
}

#[cfg(test)]
mod tests {
    use super::bucket_arn;

    #[test]
    fn buckets_have_the_partition_of_their_region() {
        let cases = [
            ("company-data", "us-east-1", "arn:aws:s3:::company-data"),
            ("company-data", "", "arn:aws:s3:::company-data"),
            ("company-data", "us-gov-west-1", "arn:aws-us-gov:s3:::company-data"),
            ("s3://company-data", "cn-northwest-1", "arn:aws-cn:s3:::company-data"),
            ("s3://company-data/a/b", "us-iso-east-1", "arn:aws-iso:s3:::company-data"),
            ("company-data", "us-isob-east-1", "arn:aws-iso-b:s3:::company-data"),
            (
                "arn:aws:s3:us-east-1:111122223333:accesspoint/ai",
                "cn-north-1",
                "arn:aws:s3:us-east-1:111122223333:accesspoint/ai",
            ),
        ];
        for (bucket, region, wanted) in cases {
            assert_eq!(bucket_arn(bucket, region).as_deref(), Some(wanted), "{bucket} in {region}");
        }
        assert_eq!(bucket_arn("", "us-east-1"), None);
        assert_eq!(bucket_arn("s3://", "us-east-1"), None);
    }
}
