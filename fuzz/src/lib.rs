//! What the targets share.

/// Takes libFuzzer's panic hook away, which ends the process at any panic: the Parquet reader's are caught and become
/// quarantined records. A panic that nobody catches still ends the run.
pub fn quiet() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}
