//! The committed code is what the generator prints, and it agrees with the schema's text.

use crate::car::{self, *};
use std::path::Path;
use stele_codegen::{CodegenOptions, generate, parse};
use stele_testkit::shared;
use stele_wire::SCHEMA_TEXT;
use stele_wire::codec::{View, Writer, text};
use stele_wire::messages::{self, SCHEMA};
use zerocopy::little_endian::{F32, U16, U32, U64};

fn assert_fresh(sources: &[(String, String)], folder: &Path, command: &str) {
    for (name, source) in sources {
        let committed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(committed == *source, "{name} is stale: {command}");
    }
}

#[test]
fn the_messages_are_what_the_generator_prints_from_the_schema() {
    let sources = generate(&parse(SCHEMA_TEXT, |_| None).unwrap(), CodegenOptions::OWN).unwrap();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/messages"));
    assert_fresh(&sources, folder, "cargo run -p stele-codegen -- wire/schema/stele.xml wire/src/messages");
}

#[test]
fn the_compiled_table_is_the_schema_as_parsed() {
    assert_eq!(parse(SCHEMA_TEXT, |_| None).unwrap().without_descriptions(), SCHEMA);
}

#[test]
fn every_message_is_as_long_as_its_block_and_known_by_its_template() {
    macro_rules! each {
        ($($message:ident,)*) => {$(
            let layout = SCHEMA.message(messages::$message::TEMPLATE_ID).unwrap();
            assert_eq!(layout.name, messages::$message::NAME);
            assert_eq!(usize::from(layout.block.length), size_of::<messages::$message>());
            assert_eq!(messages::message_name(layout.id), Some(&*layout.name));
            assert_eq!(messages::block_length(layout.id), Some(layout.block.length));
        )*};
    }
    stele_wire::for_each_stele_message!(each);
    assert_eq!(messages::message_name(0), None);
    assert_eq!(messages::block_length(u16::MAX), None);
}

/// The example of the SBE standard. Its schema is not in this repository; only the names and numbers in the
/// generated code come from it.
#[test]
fn the_car_is_what_the_generator_prints_from_the_standards_example() {
    let Some(folder) = shared::data("sbe/car") else { return };
    let text = std::fs::read_to_string(folder.join("example-schema.xml")).unwrap();
    let schema = parse(&text, |href| std::fs::read_to_string(folder.join(href)).ok()).unwrap();
    let schema = schema.without_descriptions();
    assert_eq!(schema, car::SCHEMA);
    let sources = generate(&schema, CodegenOptions::FOREIGN).unwrap();
    let committed = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/car"));
    assert_fresh(
        &sources,
        committed,
        "cargo run -p stele-codegen -- --foreign …/example-schema.xml wire/tests/suite/car",
    );
}

/// The published car, written by the generated code.
fn write_car(buffer: &mut [u8]) -> &[u8] {
    let car = Car {
        serial_number: U64::new(1234),
        model_year: U16::new(2013),
        available: BooleanType::T,
        code: Model::A,
        some_numbers: [1, 2, 3, 4].map(U32::new),
        vehicle_code: *b"abcdef",
        extras: OptionalExtras::SPORTS_PACK | OptionalExtras::CRUISE_CONTROL,
        engine: Engine {
            capacity: U16::new(2000),
            num_cylinders: 4,
            manufacturer_code: *b"123",
            efficiency: 35,
            booster_enabled: BooleanType::T,
            booster: Booster { boost_type: BoostType::NITROUS, horse_power: 200 },
        },
    };
    let mut writer = Writer::new(buffer);
    writer.block(&car).unwrap();
    writer.begin_group::<CarFuelFigures>(3).unwrap();
    for (speed, mpg, usage) in FUEL {
        let figures = CarFuelFigures { speed: U16::new(speed), mpg: F32::new(mpg) };
        figures.write(&mut writer, usage.as_bytes()).unwrap();
    }
    writer.begin_group::<CarPerformanceFigures>(2).unwrap();
    for (octane_rating, runs) in PERFORMANCE {
        let acceleration = runs.map(|(mph, seconds)| CarPerformanceFiguresAcceleration {
            mph: U16::new(mph),
            seconds: F32::new(seconds),
        });
        CarPerformanceFigures { octane_rating }.write(&mut writer, acceleration).unwrap();
    }
    for data in DATA {
        writer.data::<U32>(data.as_bytes()).unwrap();
    }
    writer.finish()
}

const FUEL: [(u16, f32, &str); 3] =
    [(30, 35.9, "Urban Cycle"), (55, 49.0, "Combined Cycle"), (75, 40.0, "Highway Cycle")];
const PERFORMANCE: [(u8, [(u16, f32); 3]); 2] =
    [(95, [(30, 4.0), (60, 7.5), (100, 12.2)]), (99, [(30, 3.8), (60, 7.1), (100, 11.8)])];
const DATA: [&str; 3] = ["Honda", "Civic VTi", "abcdef"];

#[test]
fn the_generated_car_reads_what_it_wrote() {
    let mut buffer = [0; 256];
    let bytes = write_car(&mut buffer);
    let car = View::<Car>::read(Car::BLOCK_LENGTH, 0, bytes).unwrap();
    assert!(car.is_whole());
    assert_eq!((car.serial_number.get(), car.model_year.get()), (1234, 2013));
    assert_eq!((car.available, car.code, Car::DISCOUNTED_MODEL), (BooleanType::T, Model::A, Model::C));
    assert_eq!(car.some_numbers.map(U32::get), [1, 2, 3, 4]);
    assert_eq!(text(&car.vehicle_code), "abcdef");
    assert!(car.extras.contains(OptionalExtras::CRUISE_CONTROL));
    assert!(!car.extras.contains(OptionalExtras::SUN_ROOF));
    assert_eq!((Engine::MAX_RPM, Engine::FUEL), (9000, "Petrol"));
    assert_eq!(car.engine.booster.boost_type.name(), Some("NITROUS"));
    let fuel: Vec<_> = car
        .fuel_figures()
        .map(|figures| (figures.speed.get(), figures.mpg.get(), text(figures.usage_description())))
        .collect();
    assert_eq!(fuel, FUEL);
    for (figures, (octane, runs)) in car.performance_figures().zip(PERFORMANCE) {
        assert_eq!(figures.octane_rating, octane);
        let read: Vec<_> = figures.acceleration().map(|run| (run.mph.get(), run.seconds.get())).collect();
        assert_eq!(read, runs);
    }
    assert_eq!([car.manufacturer(), car.model(), car.activation_code()].map(text), DATA);
}

#[test]
fn the_generated_car_writes_the_published_bytes() {
    let Some(published) = shared::data("sbe/car/car_example_baseline_data.sbe") else { return };
    let published = std::fs::read(published).unwrap();
    assert_eq!(published[..8], [45, 0, 1, 0, 1, 0, 0, 0], "block length, template, schema, version");
    assert_eq!(write_car(&mut [0; 256]), &published[8..]);
}
