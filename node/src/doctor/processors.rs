//! The checks of CPUs: their number, isolation, siblings, frequency and interrupts.

use super::finding::{Verdict, good, listed, unknown, warning};
use super::machine::{Machine, Setup};
use std::collections::BTreeSet;

/// Fewer CPUs than this leave background threads nowhere to go but a hot one.
const CPUS_MIN: usize = 3;

pub(super) fn count(_: &Machine, setup: &Setup) -> Verdict {
    let count = setup.allowed.len();
    if count >= CPUS_MIN {
        return good(format!("{count} CPUs may be used"));
    }
    warning(
        format!(
            "{count} CPUs may be used: hot threads share them with one another and with background threads"
        ),
        format!("give the process {CPUS_MIN} CPUs or more (taskset, cpuset, size of the virtual machine)"),
    )
}

pub(super) fn isolation(machine: &Machine, setup: &Setup) -> Verdict {
    let isolated = machine.cpus("/sys/devices/system/cpu/isolated");
    let exposed: BTreeSet<usize> = setup.hot_cpus().difference(&isolated).copied().collect();
    if setup.hot_cpus().is_empty() {
        return unknown("no hot thread is pinned");
    }
    if exposed.is_empty() {
        return good(format!("the kernel schedules no other work on CPU {}", listed(&setup.hot_cpus())));
    }
    let list = exposed.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let found = format!("the kernel schedules other work on CPU {}, where hot threads run", listed(&exposed));
    if setup.hot_cpus().is_superset(&setup.allowed) {
        return warning(
            found,
            "no CPU is left for other work: give the machine more CPUs, then isolate those of the hot threads",
        );
    }
    warning(
        found,
        format!("boot with isolcpus={list} nohz_full={list} rcu_nocbs={list}, and set these CPUs in [cores]"),
    )
}

pub(super) fn siblings(machine: &Machine, setup: &Setup) -> Verdict {
    let hot = setup.hot_cpus();
    let siblings = |cpu: &usize| {
        machine.cpus(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))
    };
    let shared = hot.iter().map(siblings).find(|siblings| siblings.intersection(&hot).count() > 1);
    let Some(shared) = shared else {
        let lone = hot.iter().all(|cpu| siblings(cpu).len() <= 1);
        return good(if lone {
            "each hot thread has a physical core of its own, without siblings"
        } else {
            "no two hot threads share a physical core; keep other work off their siblings"
        });
    };
    warning(
        format!("hot threads on CPUs {} share one physical core", listed(&shared)),
        "put them on different cores in [cores], or turn SMT off: echo off > /sys/devices/system/cpu/smt/control",
    )
}

pub(super) fn governor(machine: &Machine, setup: &Setup) -> Verdict {
    let governor = |cpu: &usize| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
        machine.read(&path).map(|governor| (*cpu, governor))
    };
    let governors: Vec<(usize, String)> = setup.hot_cpus().iter().filter_map(governor).collect();
    if governors.is_empty() {
        return good("this system does not control the frequency");
    }
    match governors.iter().find(|(_, governor)| governor != "performance") {
        None => good("performance"),
        Some((cpu, governor)) => warning(
            format!("CPU {cpu} has the governor `{governor}`: it is slow to wake up"),
            "cpupower frequency-set --governor performance",
        ),
    }
}

pub(super) fn disk_interrupts(_: &Machine, setup: &Setup) -> Verdict {
    let spinning = setup.threads.iter().filter(|thread| thread.spins);
    let hit = spinning.filter_map(|thread| Some((thread, thread.cpu?))).find(|(_, cpu)| {
        // Where every CPU takes them, a flush finishes on the CPU that requested it.
        setup.disk_cpus.contains(cpu) && setup.disk_cpus.len() < setup.allowed.len()
    });
    if let Some((thread, cpu)) = hit {
        return warning(
            format!(
                "CPU {cpu}, where `{}` spins, takes the disk's interrupts: flushes wait for a timer tick",
                thread.name
            ),
            "set another CPU in [cores], or move the interrupt: /proc/irq/N/smp_affinity_list",
        );
    }
    if setup.disk_cpus.is_empty() {
        return unknown("it is unknown which CPUs take the disk's interrupts");
    }
    good(format!("the disk's interrupts go to CPU {}", listed(&setup.disk_cpus)))
}
