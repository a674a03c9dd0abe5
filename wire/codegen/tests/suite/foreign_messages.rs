//! Messages that other software wrote, read with the layouts of their schemas: they have the published
//! values.

use stele_codegen::parse;
use stele_layout::{Schema, describe};
use stele_testkit::shared;

fn schema(name: &str) -> Option<Schema> {
    let path = shared::data("sbe")?.join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    Some(parse(&text, |href| std::fs::read_to_string(path.parent()?.join(href)).ok()).unwrap())
}

fn json(schema: &Schema, message: &[u8]) -> String {
    let mut out = String::new();
    describe::json(&schema.read_with_header(message).unwrap(), &mut out).unwrap();
    out
}

fn bytes_of(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

const CAR_TAIL: &str = r#""vehicleCode":"abcdef","extras":["sportsPack","cruiseControl"],"discountedModel":"C","engine":{"capacity":2000,"numCylinders":4,"maxRpm":9000,"manufacturerCode":"123","fuel":"Petrol","efficiency":35,"boosterEnabled":"T","booster":{"BoostType":"NITROUS","horsePower":200}},"fuelFigures":[{"speed":30,"mpg":35.900001525878906,"usageDescription":"Urban Cycle"},{"speed":55,"mpg":49,"usageDescription":"Combined Cycle"},{"speed":75,"mpg":40,"usageDescription":"Highway Cycle"}],"performanceFigures":[{"octaneRating":95,"acceleration":[{"mph":30,"seconds":4},{"mph":60,"seconds":7.5},{"mph":100,"seconds":12.199999809265137}]},{"octaneRating":99,"acceleration":[{"mph":30,"seconds":3.799999952316284},{"mph":60,"seconds":7.099999904632568},{"mph":100,"seconds":11.800000190734863}]}],"manufacturer":"Honda","model":"Civic VTi","activationCode":"abcdef"}"#;

#[test]
fn the_standards_car_reads_as_published() {
    let Some(schema) = schema("car/example-schema.xml") else { return };
    let car = std::fs::read(shared::data("sbe").unwrap().join("car/car_example_baseline_data.sbe")).unwrap();
    let head = r#"{"serialNumber":1234,"modelYear":2013,"available":"T","code":"A","someNumbers":[1,2,3,4],"#;
    assert_eq!(json(&schema, &car), format!("{head}{CAR_TAIL}"));
}

/// The extension adds two fields to the block; the message was written without them, in version 0.
#[test]
fn a_car_of_the_first_version_has_null_for_what_the_second_brought() {
    let Some(schema) = schema("car/example-extension-schema.xml") else { return };
    let car = std::fs::read(shared::data("sbe").unwrap().join("car/car_example_baseline_data.sbe")).unwrap();
    let shown = json(&schema, &car);
    assert!(
        shown.contains(r#""horsePower":200}},"uuid":null,"cupHolderCount":null,"fuelFigures":[{"#),
        "{shown}"
    );
}

#[test]
fn a_message_that_is_cut_anywhere_says_so() {
    let Some(schema) = schema("car/example-schema.xml") else { return };
    let car = std::fs::read(shared::data("sbe").unwrap().join("car/car_example_baseline_data.sbe")).unwrap();
    for end in 0..car.len() {
        let reading = schema.read_with_header(&car[..end]);
        let result = reading.and_then(|reading| describe::json(&reading, &mut String::new()));
        assert_eq!(result, Err(stele_layout::ReadError::Truncated), "{end} bytes");
    }
}

/// Vectors and the values that another decoder's tests expect of them.
#[test]
fn messages_of_cme_market_data_read_as_published() {
    let Some(schema) = schema("cme/templates_FixBinary.xml") else { return };
    let text = std::fs::read_to_string(shared::data("sbe").unwrap().join("cme/mdp3_vectors.json")).unwrap();
    let vectors: Vec<&str> = text.split("\"name\":").skip(1).collect();
    let vector = |name: &str| {
        let found = vectors.iter().find(|vector| vector.contains(&format!("\"{name}\""))).unwrap();
        let hex = found.split("\"hex\": \"").nth(1).unwrap().split('"').next().unwrap();
        // The packet's own 12 bytes, then the length of the message, which the vectors' offset leaves out.
        bytes_of(hex)[14..].to_vec()
    };
    assert_eq!(
        json(&schema, &vector("test_security_status_reset_statistics")),
        r#"{"TransactTime":1502401500001346819,"SecurityGroup":"ES","Asset":"","SecurityID":null,"TradeDate":17389,"MatchEventIndicator":["EndOfEvent"],"SecurityTradingStatus":"PreOpen","HaltReason":"GroupSchedule","SecurityTradingEvent":"ResetStatistics"}"#
    );
    let book = json(&schema, &vector("test_incremental_refresh_verify_groups"));
    for expected in [
        r#""TransactTime":1502402403112954773"#,
        r#""MatchEventIndicator":["LastQuoteMsg","EndOfEvent"]"#,
        r#""NoMDEntries":[{"MDEntryPx":"243150","MDEntrySize":2,"SecurityID":23936,"RptSeq":1322302,"NumberOfOrders":1,"MDPriceLevel":1,"MDUpdateAction":"New","MDEntryType":"Bid"},{"MDEntryPx":"243125","MDEntrySize":2,"SecurityID":23936,"RptSeq":1322303,"NumberOfOrders":1,"MDPriceLevel":2,"MDUpdateAction":"Change","MDEntryType":"Bid"}]"#,
        r#""NoOrderIDEntries":[{"OrderID":644422849436,"MDOrderPriority":5437133604,"MDDisplayQty":2,"ReferenceID":1,"OrderUpdateAction":"Update"}]"#,
    ] {
        assert!(book.contains(expected), "{expected}\n{book}");
    }
    let trade = json(&schema, &vector("test_incremental_refresh_trade_summary"));
    for expected in [
        r#""TransactTime":1502402400015595653"#,
        r#""MDEntryPx":"243450","MDEntrySize":2,"SecurityID":24842,"RptSeq":11283198,"NumberOfOrders":2,"AggressorSide":"Buy","MDUpdateAction":"New""#,
        r#"{"OrderID":644422848816,"LastQty":2},{"OrderID":644422848685,"LastQty":2}"#,
    ] {
        assert!(trade.contains(expected), "{expected}\n{trade}");
    }
}

/// Written in version 2 of the schema, read with version 1: the blocks are longer than known.
#[test]
fn messages_of_a_later_version_read_as_far_as_they_are_known() {
    let Some(schema) = schema("binance/spot_3_1.xml") else { return };
    let folder = shared::data("sbe").unwrap().join("binance");
    let position = std::fs::read(folder.join("outbound_account_position_event_1.sbe")).unwrap();
    assert_eq!(
        json(&schema, &position),
        r#"{"eventTime":1700000000000000,"updateTime":1700000000000000,"subscriptionId":null,"balances":[{"exponent":-8,"free":100000000,"locked":0,"asset":"BTC"},{"exponent":-8,"free":28,"locked":0,"asset":"BNB"},{"exponent":-8,"free":5000000000000,"locked":0,"asset":"USDT"}]}"#
    );
    let report = std::fs::read(folder.join("execution_report_event_1.sbe")).unwrap();
    let mut line = String::new();
    describe::line(&schema.read_with_header(&report).unwrap(), &mut line).unwrap();
    assert!(line.contains(" symbol=BTCUSDT clientOrderId=O-20200101-000000-000-000-0"), "{line}");
}
