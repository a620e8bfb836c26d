//! Amazon Bedrock invocation logs: every body shape in the normal form, and whatever hostile records may hold.

mod hostile;
mod recognition;
mod row;
mod shapes;
mod stored;
