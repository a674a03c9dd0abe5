//! The example of a plant's sensors: it finds exactly the hidden faults, live and again from the trail.

use crate::foreign::assert_fresh;
use crate::sensors_example::hour::with_faults;
use crate::sensors_example::{Raised, play, raised, registry};
use stele_replay::divergence;

#[test]
fn exactly_the_faults_are_found_while_they_last_and_again_from_the_trail() {
    let scratch = tempfile::tempdir().unwrap();
    for seed in 1..3 {
        let (directory, hour) = (scratch.path().join(seed.to_string()), with_faults(seed));
        play(&directory, &hour.readings).unwrap();
        let raised = raised(&directory).unwrap();
        assert_eq!((raised.len(), hour.faults.len(), hour.readings.len()), (9, 9, 72_000), "{raised:?}");
        for Raised { fault, sensor, second, explanation } in &raised {
            let made = hour.faults.iter().find(|made| made.sensor == *sensor).unwrap();
            assert_eq!(made.fault, *fault, "{explanation}");
            assert!((made.from..made.to).contains(second), "{explanation} in second {second}: {made:?}");
        }
        let mut sensors: Vec<u32> = raised.iter().map(|raised| raised.sensor).collect();
        sensors.sort_unstable();
        sensors.dedup();
        assert_eq!(sensors.len(), 9, "each fault is reported once");
        let checked = divergence::check(&directory, registry(), |_| ()).unwrap();
        assert!(checked.is_equal() && checked.has_ended, "{:?}", checked.difference);
        assert_eq!(checked.strategies[0].2.alerts, 9);
    }
}

#[test]
fn the_messages_are_what_the_generator_prints_from_the_schema() {
    assert_fresh("sensors", "plant");
}
