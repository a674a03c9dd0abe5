//! Threads on given CPUs.

/// Runs `work` on a new thread on this CPU, or on any.
pub(crate) fn on_cpu<T: Send>(cpu: Option<usize>, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let pinned = scope.spawn(|| {
            // A CPU that is not ours is named by the journal's core, which is pinned with checks.
            let _ = stele_bus::set_affinity(cpu.as_slice());
            work()
        });
        pinned.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
