//! Tests of the parser: it reads valid schemas, refuses invalid ones with the right fault, and never panics.

use proptest::prelude::*;
use stele_codegen::{CodegenOptions, SchemaError, SchemaFault, generate, parse};
use stele_layout::{ByteOrder, Presence, Schema};
use stele_testkit::shared;

fn foreign(name: &str) -> Option<Result<Schema, SchemaError>> {
    let path = shared::data("sbe")?.join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    Some(parse(&text, |href| std::fs::read_to_string(path.parent()?.join(href)).ok()))
}

pub(crate) fn schema(inside: &str) -> String {
    format!(
        r#"<messageSchema package="p" id="1" version="2" byteOrder="littleEndian"><types>
        <composite name="messageHeader">
            <type name="blockLength" primitiveType="uint16"/><type name="templateId" primitiveType="uint16"/>
            <type name="schemaId" primitiveType="uint16"/><type name="version" primitiveType="uint16"/>
        </composite>
        <composite name="groupSizeEncoding">
            <type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint8"/>
        </composite>
        <composite name="varData">
            <type name="length" primitiveType="uint16"/><type name="varData" primitiveType="uint8" length="0" characterEncoding="UTF-8"/>
        </composite>
        {inside}</messageSchema>"#
    )
}

fn fault(inside: &str) -> SchemaFault {
    parse(&schema(inside), |_| None).expect_err(inside).fault
}

/// Every valid schema of the test data.
const VALID: [&str; 21] = [
    "binance/spot_3_1.xml",
    "binance/stream_1_0.xml",
    "car/example-extension-schema.xml",
    "car/example-schema.xml",
    "cme/templates_FixBinary.xml",
    "edge-cases/basic-variable-length-schema.xml",
    "edge-cases/block-length-schema.xml",
    "edge-cases/composite-offsets-schema.xml",
    "edge-cases/example-bigendian-test-schema.xml",
    "edge-cases/field-order-check-schema.xml",
    "edge-cases/group-with-data-schema.xml",
    "edge-cases/ilinkbinary.xml",
    "edge-cases/issue567-valid.xml",
    "edge-cases/nested-group-schema.xml",
    "edge-cases/npe-small-header.xml",
    "edge-cases/since-deprecated-test-schema.xml",
    "edge-cases/versioned-message-v1.xml",
    "edge-cases/versioned-message-v2.xml",
    "fix-sbe-conformance/schema1.xml",
    "fix-sbe-conformance/schema2.xml",
    "fix-sbe-conformance/schema3.xml",
];

#[test]
fn every_valid_foreign_schema_is_read_and_printed_as_rust() {
    for name in VALID {
        let Some(result) = foreign(name) else { return };
        let schema = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!schema.messages.is_empty(), "{name}");
        let files =
            generate(&schema, CodegenOptions::FOREIGN).unwrap_or_else(|error| panic!("{name}: {error}"));
        let all: String = files.into_iter().map(|(_, source)| source).collect();
        for message in schema.messages.iter() {
            assert!(
                all.contains(&format!(" = {}, \"{}\", ", message.id, message.name)),
                "{name}: {}",
                message.name
            );
        }
    }
}

#[test]
fn every_invalid_foreign_schema_is_refused_where_it_is_wrong() {
    for (name, line, message) in [
        ("cyclic-refs-schema.xml", 15, "type \"selfReferencingComposite\" contains itself"),
        ("error-handler-types-schema.xml", 9, "value \"BOGUS\" of \"NullBoolean\" is its null value"),
        ("issue567-invalid.xml", 16, "numInGroup of \"groupSizeEncoding\" can exceed 2^31 - 1"),
    ] {
        let Some(result) = foreign(&format!("edge-cases/{name}")) else { return };
        let error = result.expect_err(name);
        assert!(error.fault.to_string().starts_with(message), "{name}: {error}");
        assert!(error.line.abs_diff(line) <= 4, "{name}: {error}");
    }
    let Some(result) = foreign("edge-cases/error-handler-dup-message-schema.xml") else { return };
    assert!(result.is_err(), "it has no message header and two messages of one id");
}

#[test]
fn a_refusal_says_what_is_wrong_and_on_which_line() {
    let text = schema("</types>\n<message name='M' id='1'>\n<field name='f' id='1' type='Prize'/></message>");
    let error = parse(&text, |_| None).unwrap_err();
    assert_eq!(error.fault, SchemaFault::UnknownType("Prize".to_owned()));
    let line = text.lines().position(|line| line.contains("Prize")).unwrap() + 1;
    assert_eq!(error.line as usize, line);
    assert_eq!(
        error.to_string(),
        format!(
            "line {line}: no type is called \"Prize\": declare it under <types>, or correct the spelling"
        )
    );
}

#[test]
fn what_breaks_a_rule_of_sbe_is_refused_by_that_rule() {
    let message = |fields: &str| format!("</types><message name='M' id='1'>{fields}</message>");
    let type_of = |attributes: &str| format!("<type name='t' {attributes}/></types>");
    assert!(matches!(fault(&message("<field name='1f' id='1' type='int8'/>")), SchemaFault::Name(_)));
    assert!(matches!(
        fault(&message("<field name='f' type='int8'/><field name='f' type='int8'/>")),
        SchemaFault::Duplicate { .. }
    ));
    assert!(matches!(
        fault(&message("<field name='a' type='int32'/><field name='b' offset='3' type='int8'/>")),
        SchemaFault::Overlap { end: 4, offset: 3, .. }
    ));
    assert!(matches!(
        fault("</types><message name='M' id='1' blockLength='3'><field name='a' type='int32'/></message>"),
        SchemaFault::BlockLength { needed: 4, .. }
    ));
    assert!(matches!(
        fault(&message("<data name='d' type='varData'/><field name='f' type='int8'/>")),
        SchemaFault::Order { .. }
    ));
    assert!(matches!(
        fault(&message("<group name='g' dimensionType='nowhere'/>")),
        SchemaFault::UnknownType(_)
    ));
    assert!(matches!(
        fault(&message("<field name='f' type='int8' sinceVersion='3'/>")),
        SchemaFault::Since { .. }
    ));
    assert!(matches!(
        fault(&message("<field name='f' type='int8' presence='constant'/>")),
        SchemaFault::NoConstant(_)
    ));
    assert!(matches!(
        fault(&message("<field name='f' type='int8' presence='constant' valueRef='Side.Buy'/>")),
        SchemaFault::ValueRef(_)
    ));
    assert!(matches!(fault(&type_of("primitiveType='int9'")), SchemaFault::Attribute { .. }));
    assert!(matches!(
        fault(&type_of("primitiveType='int8' nullValue='200'")),
        SchemaFault::DoesNotFit { .. }
    ));
    assert!(matches!(fault(&type_of("primitiveType='int64' length='9000'")), SchemaFault::TooLong(_)));
    assert!(matches!(
        fault("<set name='s' encodingType='uint8'><choice name='c'>8</choice></set></types>"),
        SchemaFault::DoesNotFit { .. }
    ));
    assert!(matches!(
        fault("<enum name='e' encodingType='uint8'><validValue name='v'>256</validValue></enum></types>"),
        SchemaFault::DoesNotFit { .. }
    ));
    let deep = "<group name='g'>".repeat(9) + &"</group>".repeat(9);
    assert!(matches!(fault(&message(&deep)), SchemaFault::TooDeep(8)));
    assert!(matches!(parse("<orders/>", |_| None).unwrap_err().fault, SchemaFault::NotASchema(_)));
    assert!(matches!(parse("no xml", |_| None).unwrap_err().fault, SchemaFault::Xml(_)));
}

#[test]
fn files_that_include_one_another_are_refused() {
    let text = "<messageSchema><include href='again.xml'/></messageSchema>";
    let error = parse(text, |_| Some("<types><include href='again.xml'/></types>".to_owned())).unwrap_err();
    assert!(matches!(error.fault, SchemaFault::IncludeCircle(_)), "{error}");
    assert_eq!(error.file.as_deref(), Some("again.xml"));
    let error = parse(text, |_| None).unwrap_err();
    assert_eq!(error.fault, SchemaFault::Include("again.xml".to_owned()));
}

#[test]
fn offsets_lengths_versions_and_presence_are_taken_from_the_text() {
    let text = schema(
        "<type name='maybe' primitiveType='int32' presence='optional'/>
         <type name='none' primitiveType='uint16' nullValue='0' semanticType='Id' description='An id'/></types>
         <message name='M' id='7' blockLength='24' sinceVersion='1'>
            <field name='a' id='1' type='maybe' offset='4'/>
            <field name='b' id='2' type='none' sinceVersion='2' deprecated='2'/>
         </message>",
    )
    .replace("littleEndian", "bigEndian");
    let schema = parse(&text, |_| None).unwrap();
    assert_eq!(schema.byte_order, ByteOrder::Big);
    let message = schema.message(7).unwrap();
    assert_eq!((message.block.length, message.since), (24, 1));
    let [a, b] = &*message.block.fields else { panic!("two fields") };
    assert_eq!((a.offset, a.presence), (4, Presence::Optional));
    assert_eq!((b.offset, b.presence, b.since, b.deprecated), (8, Presence::Optional, 2, 2));
    assert_eq!((&*b.semantic, &*b.description), ("Id", "An id"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cuts, doubles and swaps pieces of the project's own schema. Most results are refused, and none makes
    /// the parser panic.
    #[test]
    fn no_text_makes_the_parser_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3), 1..6),
    ) {
        let text = include_str!("../../../schema/stele.xml");
        let mut pieces: Vec<&str> = text.split_inclusive(['"', '>']).collect();
        for (first, second, edit) in edits {
            let (first, second) = (first.index(pieces.len()), second.index(pieces.len()));
            match edit {
                0 => { pieces.remove(first); }
                1 => pieces.insert(second, pieces[first]),
                _ => pieces.swap(first, second),
            }
        }
        if let Err(error) = parse(&pieces.concat(), |_| None) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
