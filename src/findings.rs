//! What a finding is: its columns, and the id that makes re-runs harmless.
