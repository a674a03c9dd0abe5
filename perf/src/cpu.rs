//! Pins threads to CPUs.

/// Runs `work` on a new thread that is pinned to this CPU, or on any CPU.
pub(crate) fn on_cpu<T: Send>(cpu: Option<usize>, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let pinned = scope.spawn(|| {
            // Errors are ignored: the journal's core reports a CPU that this process may not use.
            let _ = stele_bus::set_affinity(cpu.as_slice());
            work()
        });
        pinned.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
