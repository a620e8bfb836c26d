//! Parses the command line, runs one command, and turns an error into an exit code.

fn main() {}
