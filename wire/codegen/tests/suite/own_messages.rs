//! Messages written by hand for a schema of two versions and read with its layout. They are as short as
//! possible.

use crate::schemas;
use stele_codegen::parse;
use stele_layout::{ReadError, Schema, describe};

/// The schema in its first version, or in its second, which has one more field in the block and one more in
/// the group.
fn schema(version: u16) -> Schema {
    let [in_block, in_group] = match version {
        1 => ["", ""],
        _ => [
            "<field name='venue' id='4' type='uint16' presence='optional' sinceVersion='2'/>",
            "<field name='fee' id='13' type='int16' presence='optional' sinceVersion='2'/>",
        ],
    };
    let text = schemas::schema(&format!(
        "<enum name='Kind' encodingType='char'><validValue name='Limit'>L</validValue>
         <validValue name='Market'>M</validValue></enum>
         <set name='Flags' encodingType='uint8'><choice name='hidden'>0</choice><choice name='last'>1</choice></set>
         </types><message name='Order' id='1'>
         <field name='price' id='1' type='int64'/><field name='kind' id='2' type='Kind'/>
         <field name='flags' id='3' type='Flags'/>{in_block}
         <group name='fills' id='10' dimensionType='groupSizeEncoding'>
         <field name='quantity' id='11' type='uint32'/>{in_group}</group>
         <data name='note' id='12' type='varData'/></message>"
    ));
    parse(&text.replace("version=\"2\"", &format!("version=\"{version}\"")), |_| None).unwrap()
}

/// An order of the price -5 with two fills, as software of `version` writes it.
fn order(version: u16) -> Vec<u8> {
    let (in_block, in_group): (&[u8], &[u8]) =
        if version == 1 { (&[], &[]) } else { (&[7, 0], &[0xFE, 0xFF]) };
    let mut bytes = vec![10 + in_block.len() as u8, 0, 1, 0, 1, 0, version as u8, 0];
    bytes.extend((-5_i64).to_le_bytes());
    bytes.extend([b'M', 0b10]);
    bytes.extend(in_block);
    bytes.extend([4 + in_group.len() as u8, 0, 2]);
    for quantity in [300_u32, 1] {
        bytes.extend(quantity.to_le_bytes());
        bytes.extend(in_group);
    }
    bytes.extend([2, 0, b'o', b'k']);
    bytes
}

fn json(schema: &Schema, message: &[u8]) -> Result<String, ReadError> {
    let mut out = String::new();
    describe::json(&schema.read_with_header(message)?, &mut out)?;
    Ok(out)
}

#[test]
fn a_message_reads_as_its_fields_groups_and_data_were_written() {
    let first = r#"{"price":-5,"kind":"Market","flags":["last"],"fills":[{"quantity":300},{"quantity":1}],"note":"ok"}"#;
    assert_eq!(json(&schema(1), &order(1)).unwrap(), first);
    let second = r#"{"price":-5,"kind":"Market","flags":["last"],"venue":7,"fills":[{"quantity":300,"fee":-2},{"quantity":1,"fee":-2}],"note":"ok"}"#;
    assert_eq!(json(&schema(2), &order(2)).unwrap(), second);
}

#[test]
fn a_message_of_an_older_version_has_null_for_what_came_later() {
    let expected = r#"{"price":-5,"kind":"Market","flags":["last"],"venue":null,"fills":[{"quantity":300,"fee":null},{"quantity":1,"fee":null}],"note":"ok"}"#;
    assert_eq!(json(&schema(2), &order(1)).unwrap(), expected);
}

#[test]
fn a_message_of_a_newer_version_reads_as_far_as_it_is_known() {
    assert_eq!(json(&schema(1), &order(2)), json(&schema(1), &order(1)));
}

#[test]
fn an_own_message_that_is_cut_anywhere_says_so() {
    for version in [1, 2] {
        let order = order(version);
        for end in 0..order.len() {
            assert_eq!(json(&schema(version), &order[..end]), Err(ReadError::Truncated), "{end} bytes");
        }
    }
}
