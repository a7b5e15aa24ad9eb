//! Equal JSON as equal text, so that recipes can be compared by their hashes.

use serde_json::Value;

/// The one text of a JSON value, whatever database or program it has passed through: keys in order, no white space, one
/// spelling of each number and text (RFC 8785). As there, a number is an IEEE 754 double, so whole numbers beyond 2^53 are
/// rounded.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => text.push_str(&number_text(number.as_f64().unwrap_or(0.0))),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, text);
                write_value(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            // By UTF-16 code units, as section 3.2.3 has it, which differs from the order of the UTF-8 bytes.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            text.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                separate(index, text);
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_value(value, text);
            }
            text.push('}');
        }
        // serde_json escapes what section 3.2.2.2 escapes, in the same way.
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}

fn separate(index: usize, text: &mut String) {
    if index > 0 {
        text.push(',');
    }
}

/// A number as ECMAScript's Number::toString writes it (ECMA-262, section 6.1.6.1.20).
fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    // The shortest digits that give the number back, and the power of ten of the first.
    let scientific = format!("{:e}", number.abs());
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = digits.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let point = usize::try_from(exponent + 1).unwrap_or(0);
    match exponent {
        0..21 if count <= exponent + 1 => format!("{sign}{digits}{}", zeros(exponent + 1 - count)),
        0..21 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        -6..0 => format!("{sign}0.{}{digits}", zeros(-exponent - 1)),
        _ => {
            let (first, rest) = digits.split_at(1);
            let rest = if rest.is_empty() {
                String::new()
            } else {
                format!(".{rest}")
            };
            format!("{sign}{first}{rest}e{exponent:+}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The bits of doubles and their texts, from RFC 8785, appendix B.
    const NUMBERS: [(u64, &str); 20] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
    ];

    #[test]
    fn numbers_are_written_as_the_rfc_s_examples() {
        for (bits, text) in NUMBERS {
            assert_eq!(number_text(f64::from_bits(bits)), text);
        }
    }

    /// The example of RFC 8785, section 3.2.2, and the keys of section 3.2.3.
    #[test]
    fn the_rfc_s_example_has_the_rfc_s_text() {
        // The numbers by the compiler: serde_json may read one a bit off.
        let value = json!({
            "numbers": [333_333_333.333_333_3, 1e30, 4.50, 2e-3, 0.000_000_000_000_000_000_000_000_001],
            "string": "\u{20ac}$\u{f}\u{a}A'\u{42}\u{22}\u{5c}\\\"/",
            "literals": [null, true, false],
        });
        let text = "{\"literals\":[null,true,false],\
            \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(canonical_json(&value), text);

        let keys = ["\u{20ac}", "\r", "\u{fb33}", "1", "😀", "\u{80}", "\u{f6}"];
        let value = Value::Object(
            keys.map(|key| (key.to_owned(), json!(0)))
                .into_iter()
                .collect(),
        );
        let order =
            "{\"\\r\":0,\"1\":0,\"\u{80}\":0,\"\u{f6}\":0,\"\u{20ac}\":0,\"😀\":0,\"\u{fb33}\":0}";
        assert_eq!(canonical_json(&value), order);
    }

    #[test]
    fn a_number_has_one_text_however_it_was_stored() {
        let texts = ["100", "100.0", "1e2", "1.00E+2"];
        let canonical = |text: &str| canonical_json(&serde_json::from_str(text).unwrap());
        assert_eq!(texts.map(canonical), ["100"; 4]);
    }

    proptest! {
        #[test]
        fn every_number_reads_back_as_itself(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            prop_assert_eq!(number_text(number).parse::<f64>().unwrap(), number);
        }

        #[test]
        fn every_text_reads_back_as_itself(text in any::<String>()) {
            let value = json!({ "": [text] });
            prop_assert_eq!(serde_json::from_str::<Value>(&canonical_json(&value)).unwrap(), value);
        }
    }
}
