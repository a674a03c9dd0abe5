//! Converts a schema's names to the style of Rust.

/// `venueTime` as `venue_time`, `MDEntryPx` as `md_entry_px`; a keyword gets a `_` at its end.
pub(crate) fn snake(name: &str) -> String {
    let snake = words(name).to_ascii_lowercase();
    if KEYWORDS.contains(&&*snake) { snake + "_" } else { snake }
}

/// `PreOpen` as `PRE_OPEN`.
pub(crate) fn upper(name: &str) -> String {
    words(name).to_ascii_uppercase()
}

/// `groupSizeEncoding` as `GroupSizeEncoding`, `uuid_t` as `UuidT`, `MONTH_YEAR` as `MonthYear`.
pub(crate) fn pascal(name: &str) -> String {
    let words = words(name);
    let words = words.split('_').filter(|word| !word.is_empty());
    words.flat_map(|word| [word[..1].to_ascii_uppercase(), word[1..].to_ascii_lowercase()]).collect()
}

/// `name` with `_` between its words: before a capital that follows a small letter or a digit, or precedes a
/// small letter.
fn words(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut words = String::new();
    for (index, &char) in chars.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| chars[index]);
        let after = chars.get(index + 1);
        let begins_word = char.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase)
            });
        if begins_word {
            words.push('_');
        }
        words.push(char);
    }
    words
}

#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match",
    "mod", "move", "mut", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "type",
    "macro", "override", "priv", "try", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_where_a_reader_would() {
        assert_eq!(snake("venueTime"), "venue_time");
        assert_eq!(snake("MDEntryPx"), "md_entry_px");
        assert_eq!(snake("OrderID"), "order_id");
        assert_eq!(snake("type"), "type_");
        assert_eq!(upper("PreOpen"), "PRE_OPEN");
        assert_eq!(pascal("groupSizeEncoding"), "GroupSizeEncoding");
        assert_eq!(pascal("MONTH_YEAR"), "MonthYear");
        assert_eq!(pascal("BookAdd"), "BookAdd");
    }
}
