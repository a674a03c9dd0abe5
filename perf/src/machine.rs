//! The machine that the figures were measured on.

use serde::Serialize;
use std::fs;

/// The properties of a machine that explain a figure.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct Machine {
    /// The number of CPUs that this process may use.
    pub cpus: usize,
    /// The model name of the first CPU.
    pub model: String,
    /// The name and release of the operating system.
    pub kernel: String,
    /// The memory in MiB.
    pub memory_mib: u64,
}

impl Machine {
    /// Reads the properties of this machine from the operating system. What cannot be read is empty or 0.
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

/// Returns the value of the first line `name : value` of a /proc file.
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
