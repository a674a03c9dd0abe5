//! What the numbers were taken on.

use serde::Serialize;
use std::fs;

/// The machine as far as it explains a figure.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct Machine {
    /// Processors that this process may use.
    pub cpus: usize,
    /// Model name of the first processor.
    pub model: String,
    /// Operating-system name and release.
    pub kernel: String,
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl Machine {
    /// Reads what this machine is from the operating system; what cannot be read is empty or 0.
    pub fn read() -> Self {
        let uname = rustix::system::uname();
        let kernel = format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy());
        Self {
            cpus: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            model: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            kernel,
            memory_mib: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib / 1024),
        }
    }
}

/// The value of the first `name : value` line of a /proc file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn this_machine_has_a_kernel_and_a_processor() {
        let machine = Machine::read();
        assert!(machine.cpus > 0);
        assert!(machine.kernel.contains('.'), "{}", machine.kernel);
    }
}
