//! What the system says about this process: memory, processor time, open files.

use std::fs;

/// Ticks per second of processor time in `/proc/self/stat`; user space sees 100 on every Linux (`USER_HZ`, proc_pid_stat(5)).
const TICKS: f64 = 100.0;

/// What the system says about this process; nothing where there is no `/proc`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// Bytes in memory.
    pub resident: Option<u64>,
    /// Bytes in memory at most so far.
    pub peak: Option<u64>,
    /// Seconds of processor time, in user and system mode.
    pub cpu_seconds: Option<f64>,
    /// Open files and sockets.
    pub open_files: Option<u64>,
}

impl Process {
    /// Asks the system.
    pub fn now() -> Process {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Process {
            resident: kilobytes(&status, "VmRSS:"),
            peak: kilobytes(&status, "VmHWM:"),
            cpu_seconds: cpu_seconds(&stat),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
        }
    }
}

/// Bytes of the line of `/proc/self/status` that begins with `name` and counts in kB.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|number| number * 1024)
}

/// Fields 14 and 15 of `/proc/self/stat`. The name of the program, which is the second, may hold blanks and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_the_system_writes_them() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 8 0 100 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("42 (a"), None);
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t    2048 kB\n", "VmRSS:"), Some(2 << 20));
        assert_eq!(kilobytes("VmRSS:\tmany kB\n", "VmRSS:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_figures() {
        let process = Process::now();
        assert!(process.resident.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
        assert!(process.peak >= process.resident, "{process:?}");
        assert!(process.open_files.is_some_and(|files| files >= 3), "{process:?}");
        assert!(process.cpu_seconds.is_some(), "{process:?}");
    }
}
