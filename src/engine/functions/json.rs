//! Functions on JSON of `datafusion-functions-json`, where SQL has them: conditions on their values reach the table.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Registers them, with the operators `->` and `->>`.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    datafusion_functions_json::register_all(registry)?;
    registry.register_function_rewrite(Arc::new(KeepInPlace))
}

/// Keeps functions where SQL has them. The library has its functions moved to where a table is read, and the optimizer leaves
/// conditions on such a value above that place: all rows would be decoded to find those with a value.
#[derive(Debug)]
struct KeepInPlace;

/// The same function, which stays where it is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kept(Arc<ScalarUDF>);

impl FunctionRewrite for KeepInPlace {
    fn name(&self) -> &str {
        "KeepInPlace"
    }

    fn rewrite(&self, expression: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let moves = expression.placement() == ExpressionPlacement::MoveTowardsLeafNodes;
        match expression {
            Expr::ScalarFunction(mut function) if moves && function.name().starts_with("json_") => {
                function.func = Arc::new(ScalarUDF::new_from_impl(Kept(function.func)));
                Ok(Transformed::yes(Expr::ScalarFunction(function)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

impl ScalarUDFImpl for Kept {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.0.invoke_with_args(args)
    }

    fn placement(&self, _: &[ExpressionPlacement]) -> ExpressionPlacement {
        ExpressionPlacement::KeepInPlace
    }
}
