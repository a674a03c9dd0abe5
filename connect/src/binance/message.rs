//! The messages of Binance's spot streams, read from JSON.
//!
//! Sources: Binance, *Websocket market streams* (diff. depth, individual symbol book ticker and trade
//! streams), and *Order book* of the REST API.

use crate::decimal::{signed, unsigned};
use crate::lines::excerpt;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use stele_wire::messages::Side;

/// Decimals of a quantity on Binance, and on the log.
pub(super) const QUANTITY_DECIMALS: u32 = 8;
/// Decimals of a price on the log.
const PRICE_DECIMALS: u32 = 9;

/// A message; its levels are returned separately.
pub(super) enum Message<'a> {
    Depth(Depth<'a>),
    /// A snapshot: its update id, and the symbol where the stream's name has it.
    Snapshot(u64, Option<&'a str>),
    Ticker(Ticker<'a>),
    Trade(Trade<'a>),
    /// A stream that is not read.
    Other,
    /// A response to a request, which is not market data.
    Response,
}

/// What changed between two updates of the book.
pub(super) struct Depth<'a> {
    pub(super) time: u64,
    pub(super) symbol: &'a str,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Whether it comes from the futures market, where an update names the one before.
    pub(super) is_future: bool,
}

/// The best bid and offer at an update.
pub(super) struct Ticker<'a> {
    pub(super) update: u64,
    pub(super) symbol: &'a str,
    pub(super) time: Option<u64>,
    pub(super) bid: (i64, u64),
    pub(super) ask: (i64, u64),
}

/// One trade.
pub(super) struct Trade<'a> {
    pub(super) time: u64,
    pub(super) symbol: &'a str,
    pub(super) id: u64,
    pub(super) price: i64,
    pub(super) quantity: u64,
    pub(super) is_buyer_maker: bool,
}

/// A level of a list: side, price in units of 1e-9, quantity in units of 1e-8.
pub(super) type Level = (Side, i64, u64);

/// Reads one message in one pass, and puts its levels into `levels`, bids and asks as they come.
pub(super) fn read<'a>(json: &'a [u8], levels: &mut Vec<Level>) -> Result<Message<'a>, serde_json::Error> {
    levels.clear();
    let mut decoder = serde_json::Deserializer::from_slice(json);
    let mut fields = Fields::default();
    Body { fields: &mut fields, levels }.deserialize(&mut decoder)?;
    decoder.end()?;
    fields.message()
}

/// A value that is not a list of levels.
#[derive(Clone, Copy, Default)]
enum Value<'a> {
    #[default]
    Missing,
    Text(&'a str),
    Number(u64),
    Truth(bool),
    List,
    Another,
}

/// The fields of all messages together; the keys of the envelope differ from those of the message inside.
#[derive(Default)]
struct Fields<'a> {
    stream: Value<'a>,
    is_wrapped: bool,
    kind: Value<'a>,
    time: Value<'a>,
    symbol: Value<'a>,
    first: Value<'a>,
    last: Value<'a>,
    previous: Value<'a>,
    bids: Value<'a>,
    bid_quantity: Value<'a>,
    asks: Value<'a>,
    ask_quantity: Value<'a>,
    id: Value<'a>,
    price: Value<'a>,
    quantity: Value<'a>,
    trade_time: Value<'a>,
    is_buyer_maker: Value<'a>,
    last_update_id: Value<'a>,
    snapshot_bids: Value<'a>,
    snapshot_asks: Value<'a>,
    ignored: Value<'a>,
}

impl<'a> Fields<'a> {
    fn slot(&mut self, key: &str) -> (&mut Value<'a>, Side) {
        match key {
            "stream" => (&mut self.stream, Side::NONE),
            "e" => (&mut self.kind, Side::NONE),
            "E" => (&mut self.time, Side::NONE),
            "s" => (&mut self.symbol, Side::NONE),
            "U" => (&mut self.first, Side::NONE),
            "u" => (&mut self.last, Side::NONE),
            "pu" => (&mut self.previous, Side::NONE),
            "b" => (&mut self.bids, Side::BUY),
            "B" => (&mut self.bid_quantity, Side::NONE),
            "a" => (&mut self.asks, Side::SELL),
            "A" => (&mut self.ask_quantity, Side::NONE),
            "t" => (&mut self.id, Side::NONE),
            "p" => (&mut self.price, Side::NONE),
            "q" => (&mut self.quantity, Side::NONE),
            "T" => (&mut self.trade_time, Side::NONE),
            "m" => (&mut self.is_buyer_maker, Side::NONE),
            "lastUpdateId" => (&mut self.last_update_id, Side::NONE),
            "bids" => (&mut self.snapshot_bids, Side::BUY),
            "asks" => (&mut self.snapshot_asks, Side::SELL),
            _ => (&mut self.ignored, Side::NONE),
        }
    }

    fn message(&self) -> Result<Message<'a>, serde_json::Error> {
        let symbol = || text(self.symbol, "s");
        Ok(match self.kind {
            Value::Text("depthUpdate") => {
                list(self.bids, "b")?;
                list(self.asks, "a")?;
                Message::Depth(Depth {
                    time: number(self.time, "E")?,
                    symbol: symbol()?,
                    first: number(self.first, "U")?,
                    last: number(self.last, "u")?,
                    is_future: !matches!(self.previous, Value::Missing),
                })
            }
            Value::Text("trade") => Message::Trade(Trade {
                time: number(self.trade_time, "T")?,
                symbol: symbol()?,
                id: number(self.id, "t")?,
                price: price(text(self.price, "p")?)?,
                quantity: quantity(text(self.quantity, "q")?)?,
                is_buyer_maker: match self.is_buyer_maker {
                    Value::Truth(truth) => truth,
                    value => return Err(wrong(value, "m", "a truth value")),
                },
            }),
            Value::Text("bookTicker") => Message::Ticker(self.ticker()?),
            Value::Missing => match (self.last_update_id, self.bid_quantity, self.ask_quantity) {
                (Value::Missing, Value::Missing, _) | (Value::Missing, _, Value::Missing) => {
                    if self.is_wrapped { Message::Other } else { Message::Response }
                }
                (Value::Missing, _, _) => Message::Ticker(self.ticker()?),
                (last, _, _) => {
                    list(self.snapshot_bids, "bids")?;
                    list(self.snapshot_asks, "asks")?;
                    let symbol = match self.stream {
                        Value::Text(stream) if self.is_wrapped => stream.split('@').next(),
                        _ => None,
                    };
                    Message::Snapshot(number(last, "lastUpdateId")?, symbol)
                }
            },
            _ => Message::Other,
        })
    }

    fn ticker(&self) -> Result<Ticker<'a>, serde_json::Error> {
        let side = |at, at_name, of, of_name| -> Result<(i64, u64), serde_json::Error> {
            Ok((price(text(at, at_name)?)?, quantity(text(of, of_name)?)?))
        };
        Ok(Ticker {
            update: number(self.last, "u")?,
            symbol: text(self.symbol, "s")?,
            time: match self.time {
                Value::Missing => None,
                time => Some(number(time, "E")?),
            },
            bid: side(self.bids, "b", self.bid_quantity, "B")?,
            ask: side(self.asks, "a", self.ask_quantity, "A")?,
        })
    }
}

fn wrong(value: Value<'_>, name: &'static str, expected: &str) -> serde_json::Error {
    match value {
        Value::Missing => serde_json::Error::missing_field(name),
        _ => serde_json::Error::custom(format_args!("`{name}` is not {expected}")),
    }
}

fn text<'a>(value: Value<'a>, name: &'static str) -> Result<&'a str, serde_json::Error> {
    if let Value::Text(text) = value { Ok(text) } else { Err(wrong(value, name, "a text")) }
}

fn number(value: Value<'_>, name: &'static str) -> Result<u64, serde_json::Error> {
    if let Value::Number(number) = value { Ok(number) } else { Err(wrong(value, name, "a whole number")) }
}

fn list(value: Value<'_>, name: &'static str) -> Result<(), serde_json::Error> {
    if let Value::List = value { Ok(()) } else { Err(wrong(value, name, "a list of [price, quantity]")) }
}

fn price<E: Error>(text: &str) -> Result<i64, E> {
    let wrong = |fault| E::custom(format_args!("price `{}` {fault}", excerpt(text.as_bytes())));
    signed(text.as_bytes(), PRICE_DECIMALS).map_err(wrong)
}

fn quantity<E: Error>(text: &str) -> Result<u64, E> {
    let wrong = |fault| E::custom(format_args!("quantity `{}` {fault}", excerpt(text.as_bytes())));
    unsigned(text.as_bytes(), QUANTITY_DECIMALS).map_err(wrong)
}

/// Reads an object into the fields, and the object under `data` into the same fields.
struct Body<'f, 'a> {
    fields: &'f mut Fields<'a>,
    levels: &'f mut Vec<Level>,
}

impl<'de> DeserializeSeed<'de> for Body<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&str>()? {
            if key == "data" && !self.fields.is_wrapped {
                self.fields.is_wrapped = true;
                map.next_value_seed(Body { fields: self.fields, levels: self.levels })?;
                continue;
            }
            let (slot, side) = self.fields.slot(key);
            *slot = map.next_value_seed(AnyValue { side, levels: self.levels })?;
        }
        Ok(())
    }
}

/// Reads any value; a list whose key has a side is read as levels.
struct AnyValue<'f> {
    side: Side,
    levels: &'f mut Vec<Level>,
}

impl<'de> DeserializeSeed<'de> for AnyValue<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(text))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Value<'de>, E> {
        Ok(Value::Another)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Another)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Another)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value<'de>, E> {
        Ok(Value::Truth(truth))
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Another)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        if self.side == Side::NONE {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Another);
        }
        while let Some(OfLevel(price, quantity)) = list.next_element()? {
            self.levels.push((self.side, price, quantity));
        }
        Ok(Value::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Another)
    }
}

/// Reads `["price","quantity"]`; older files have more elements, which are skipped.
struct OfLevel(i64, u64);

impl<'de> Deserialize<'de> for OfLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = OfLevel;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[price, quantity]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OfLevel, A::Error> {
                let at: &str = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let of: &str = list.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(OfLevel(price(at)?, quantity(of)?))
            }
        }
        deserializer.deserialize_seq(Pair)
    }
}
