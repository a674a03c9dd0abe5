//! The checks of clocks: the processor's counter, the kernel's clock source, and its distance from UTC.

use super::finding::{Verdict, good, unknown, warning};
use super::machine::{Machine, Setup};
use crate::readable::grouped;

pub(super) fn counter(machine: &Machine, _: &Setup) -> Verdict {
    let Some(text) = machine.read("/proc/cpuinfo") else { return unknown("/proc/cpuinfo is missing") };
    let Some(flags) = text.lines().find(|line| line.starts_with("flags")) else {
        return good("not an x86 processor: its counter has a constant rate by design");
    };
    let missing: Vec<&str> = ["constant_tsc", "nonstop_tsc"]
        .into_iter()
        .filter(|wanted| !flags.split_whitespace().any(|flag| flag == *wanted))
        .collect();
    if missing.is_empty() {
        return good("constant rate on every CPU, also in sleep states");
    }
    warning(
        format!(
            "the processor does not have {}: times are read through the kernel, or are wrong",
            missing.join(" and ")
        ),
        "use a machine, or a type of virtual machine, with an invariant TSC",
    )
}

/// Clock sources that the vDSO reads without a system call.
const QUICK: [&str; 4] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

pub(super) fn source(machine: &Machine, _: &Setup) -> Verdict {
    match machine.read("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        None => unknown("the kernel's clock source is unknown"),
        Some(source) if QUICK.contains(&source.as_str()) => good(source),
        Some(source) => warning(
            format!("the kernel's clock is `{source}`: each reading is a system call"),
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, or boot with clocksource=tsc",
        ),
    }
}

/// The largest divergence from UTC that is allowed for high-frequency trading, in nanoseconds: Delegated
/// Regulation (EU) 2017/574 (RTS 25), annex, table 2.
const DIVERGENCE_NS_MAX: u64 = 100_000;

pub(super) fn discipline(_: &Machine, setup: &Setup) -> Verdict {
    let remedy =
        "run chronyd, or ptp4l and phc2sys, with a source that is traceable to UTC, and monitor its error";
    let Some(clock) = setup.clock else {
        return unknown("the state of the kernel's clock is unknown");
    };
    let error = grouped(clock.error_max_ns);
    if !clock.is_synchronised {
        return warning("the kernel reports that its clock is not synchronised to UTC", remedy);
    }
    if clock.error_max_ns > DIVERGENCE_NS_MAX {
        let limit = grouped(DIVERGENCE_NS_MAX);
        return warning(
            format!("the clock may differ from UTC by {error} ns; RTS 25 allows {limit} ns for fast trading"),
            remedy,
        );
    }
    good(format!("the clock differs from UTC by at most {error} ns"))
}
